"""The profiles of a 4,000,000 x 40 day, from Parquet to the rows of the profile tables, compared with DuckDB's bare scan of it.

`python -m bench.kernel`; prints a table, writes results/kernel.json. `--rows` makes it smaller.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from bench import wide_day
from bench.measure import Measurement, apart, best_of, clocked, environment, save
from driftlake.config import load_settings

REPEATS = 3

SCAN = """
import sys, duckdb
glob, numeric, text = sys.argv[1], sys.argv[2].split(","), sys.argv[3].split(",")
columns = [f'sum("{name}")' for name in numeric] + [f'max(length("{name}"))' for name in text]
with duckdb.connect() as connection:
    connection.execute(f"set threads = {int(sys.argv[4])}")
    clock(lambda: connection.execute(f"select {', '.join(columns)} from read_parquet('{glob}')").fetchall())
"""
PROFILE = """
import sys
from pathlib import Path
from bench import wide_day
from driftlake.inputs import predictions
from driftlake.lineage import versions
from driftlake.inputs.columns import TELEMETRY_COLUMNS
from driftlake.config import load_settings
from driftlake.engines import local
from driftlake.inputs.partitions import read_partitions
from driftlake.lake.session import open_session
from driftlake.lake.warehouse import Warehouse

settings = load_settings(Path(sys.argv[1]))
with Warehouse.open(settings, read_only=True) as warehouse:
    registered = versions.load_versions(warehouse)

def profile():
    location = settings.resolve(settings.telemetry.path)
    partitions = read_partitions(location, [wide_day.DAY], TELEMETRY_COLUMNS, {})
    with open_session(settings) as connection:
        predictions.create_version_tables(connection, list(registered.values()), settings.models)
        predictions.create_view_of_partitions(connection, "predictions", partitions, predictions.Reading(TELEMETRY_COLUMNS, {}))
        return local.profile_partitions(connection, settings, partitions, registered)

clock(profile)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=4_000_000)
    rows = parser.parse_args().rows
    results = {}
    for files in (1, 50):
        with tempfile.TemporaryDirectory() as folder:
            results[f"{files} files"] = measure(Path(folder) / "project", rows, files)
    cells = rows * (wide_day.NUMERIC + wide_day.TEXT)
    print(f"{rows:,} rows x {wide_day.NUMERIC + wide_day.TEXT} features, two versions in every row group")
    for name, (scan, profile) in results.items():
        print(
            f"{name:<9} scan {scan.seconds:5.2f} s  profile {profile.seconds:5.2f} s  ratio"
            f" {profile.seconds / scan.seconds:4.1f}  {cells / profile.seconds / 1e6:5.0f} M cells/s"
            f"  peak {profile.peak_mb:5.0f} MB"
        )
    print(save("kernel", {"environment": environment(), "rows": rows, "results": results}))


def measure(root: Path, rows: int, files: int) -> tuple[Measurement, Measurement]:
    """The scan and the profile of a day in `files` files, taken in turns."""
    apart(prepare, root, rows, files)
    config = root / "driftlake.yaml"
    glob = f"{root}/telemetry/dt={wide_day.DAY}/*.parquet"
    columns = [",".join(wide_day.numeric_names()), ",".join(wide_day.text_names())]
    scans, profiles = [], []
    for _ in range(REPEATS):
        scans.append(clocked("scan", SCAN, glob, *columns, str(load_settings(config).compute.threads)))
        profiles.append(clocked("profile", PROFILE, str(config)))
    return best_of(REPEATS, scans), best_of(REPEATS, profiles)


def prepare(root: Path, rows: int, files: int) -> None:
    """Write the day and register its versions."""
    settings = wide_day.write_project(root)
    wide_day.write_day(settings, rows, files=files)
    wide_day.register_versions(settings)


if __name__ == "__main__":
    main()
