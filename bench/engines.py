"""One machine against Spark on the same machine: a generated day of telemetry, from Parquet to the rows of its profiles.

`python -m bench.engines`; needs pyspark and Java. Prints a table, writes results/engines.json. Both engines have the same
cores. The start of Spark is measured separately. The first day also starts its Python workers; the second uses the running ones.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from bench import wide_day
from bench.measure import PYTHON, ROOT, apart, environment, run, save

CORES = 2
REPEATS = 3
FILES = 4
# Seconds of the start and of each pass over the day; the engine's session is started in a separate pass.
PROFILE = """
import sys, time
from pathlib import Path
from bench import wide_day
from driftlake.inputs import predictions
from driftlake.lineage import versions
from driftlake.inputs.columns import TELEMETRY_COLUMNS
from driftlake.config import load_settings
from driftlake.engines import cluster, engine_of
from driftlake.inputs.partitions import read_partitions
from driftlake.lake.session import open_session
from driftlake.lake.warehouse import Warehouse

settings = load_settings(Path(sys.argv[1]))
with Warehouse.open(settings, read_only=True) as warehouse:
    registered = versions.load_versions(warehouse)
engine = engine_of(settings)
passes = [time.perf_counter()]
if settings.engine == "spark":
    cluster.session(settings.spark)
passes.append(time.perf_counter())
for _ in range(int(sys.argv[2])):
    partitions = read_partitions(settings.resolve(settings.telemetry.path), [wide_day.DAY], TELEMETRY_COLUMNS, {})
    with open_session(settings) as connection:
        predictions.create_version_tables(connection, list(registered.values()), settings.models)
        predictions.create_view_of_partitions(connection, "predictions", partitions, predictions.Reading(TELEMETRY_COLUMNS, {}))
        found = engine.profile_partitions(connection, settings, partitions, registered)
    passes.append(time.perf_counter())
print(sum(table.num_rows for table in found.tables.values()), *(b - a for a, b in zip(passes, passes[1:])))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=4_000_000)
    rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "project"
        apart(prepare, root, rows)
        # a Spark of local[2] has its workers on this machine, like the threads of the other engine
        results = {name: measure(root, name) for name in ("duckdb", "spark")}
    (counted, _, *duckdb), (also_counted, start, first, *spark) = results["duckdb"], results["spark"]
    assert counted == also_counted, "the engines count the same rows"
    print(f"{rows:,} rows x {wide_day.NUMERIC + wide_day.TEXT} features in {FILES} files, {CORES} cores")
    print(f"duckdb         {min(duckdb):6.2f} s")
    print(f"Spark starts   {start:6.2f} s")
    print(f"Spark, first   {first:6.2f} s  ratio {first / min(duckdb):4.1f}")
    print(f"Spark, then    {min(spark):6.2f} s  ratio {min(spark) / min(duckdb):4.1f}")
    print(save("engines", {"environment": environment(), "rows": rows, "results": results}))


def measure(root: Path, engine: str) -> list[float]:
    """Rows counted, seconds of the start, and of each pass over the day in one process."""
    _, output = run(
        engine, [PYTHON, "-c", PROFILE, str(root / f"{engine}.yaml"), str(REPEATS)], env={"PYTHONPATH": str(ROOT)}
    )
    return [float(word) for word in output.splitlines()[-1].split()]


def prepare(root: Path, rows: int) -> None:
    """Write the day, register its versions, and configure both engines."""
    settings = wide_day.write_project(root)
    wide_day.write_day(settings, rows, files=FILES)
    wide_day.register_versions(settings)
    spark = {"master": f"local[{CORES}]"}
    for engine in ("duckdb", "spark"):
        wide_day.write_config(root, engine, engine=engine, spark=spark, compute={"threads": CORES})


if __name__ == "__main__":
    main()
