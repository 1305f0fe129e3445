"""Claim: drift of a day over 28 or 90 days, 200 features, takes less than a second: a window is a sum over profiles.

`python -m bench.windows`; compared with DuckDB's bare sum over the same days of profile rows. Prints a table, writes
results/windows.json.
"""

from __future__ import annotations

import argparse
import tempfile
from datetime import timedelta
from pathlib import Path

from bench import wide_day
from bench.measure import Measurement, apart, best_of, clocked, environment, save
from driftlake.inputs.partitions import days_between
from driftlake.lake.warehouse import PartitionRun, Replacement, Warehouse
from driftlake.nightly.stages import new_context

REPEATS = 5
NUMERIC, TEXT = 150, 50
DAYS = 120
WINDOWS = ((28,), (90,), (1, 7, 28))
LONGEST_SECONDS = 1.0

# Production that resembles training: every bin of a day has its training count, give or take a fifth.
_SHARED = """
    ?::date as dt,
    model_id,
    model_version,
    'production' as deployment,
    'all' as segment,
    bin_id,
    greatest(1, row_count * (0.8 + 0.4 * random()))::bigint as row_count
"""
DAY_ROWS = {
    "feature_profile": f"select {_SHARED}, feature from reference_profile where feature <> 'score'",
    "feature_stats": "select ?::date as dt, model_id, model_version, 'production' as deployment, 'all' as segment, feature,"
    " row_count, missing_count from reference_stats where feature <> 'score'",
    "prediction_profile": f"select {_SHARED}, 0.0 as score_sum from reference_profile where feature = 'score'",
}
SUM = """
import sys
from pathlib import Path
from driftlake.config import load_settings
from driftlake.lake.warehouse import Warehouse

days = sys.argv[2:]
statement = "select sum(row_count) as row_count from feature_profile where dt between ? and ?"
with Warehouse.open(load_settings(Path(sys.argv[1])), read_only=True) as warehouse:
    clock(lambda: warehouse.sql(statement, days))
"""
COMPARE = """
import sys
from datetime import date
from pathlib import Path
from driftlake.nightly.derived import compare_days
from driftlake.nightly.stages import new_context
from driftlake.config import load_settings
from driftlake.lake.warehouse import Warehouse

settings, day = load_settings(Path(sys.argv[1])), date.fromisoformat(sys.argv[2])
context = new_context(settings, "windows", is_forced=True)
with Warehouse.open(settings) as warehouse:
    clock(lambda: compare_days(warehouse, settings, context, [day]))
    compared = warehouse.sql("select distinct feature from feature_drift where outcome <> 'insufficient_data'")
    assert compared.num_rows == int(sys.argv[3]), compared
"""


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "project"
        apart(prepare, root)
        rounds = [[measure(root, windows) for windows in WINDOWS] for _ in range(REPEATS)]
    results = {}
    for windows, pairs in zip(WINDOWS, zip(*rounds, strict=True), strict=True):
        scans, comparisons = zip(*pairs, strict=True)
        results[name_of(windows)] = best_of(REPEATS, scans), best_of(REPEATS, comparisons)
    print(f"{NUMERIC + TEXT} features, {DAYS} days of profiles")
    for name, (scan, comparison) in results.items():
        print(
            f"{name:<12} sum {scan.seconds * 1e3:5.0f} ms  drift {comparison.seconds * 1e3:5.0f} ms  ratio"
            f" {comparison.seconds / scan.seconds:5.1f}  peak {comparison.peak_mb:4.0f} MB  {_verdict(comparison)}"
        )
    print(save("windows", {"environment": environment(), "results": results}))


def _verdict(comparison: Measurement) -> str:
    return f"under a second: {'holds' if comparison.seconds < LONGEST_SECONDS else 'DOES NOT HOLD'}"


def name_of(windows: tuple[int, ...]) -> str:
    return f"{'/'.join(map(str, windows))} days"


def measure(root: Path, windows: tuple[int, ...]) -> tuple[Measurement, Measurement]:
    """The bare sum over the days of the longest window, and the comparison of all windows with training."""
    name, config = name_of(windows), root / f"{_config_name(windows)}.yaml"
    first = wide_day.DAY - timedelta(days=max(windows) - 1)
    scan = clocked(name, SUM, str(config), first.isoformat(), wide_day.DAY.isoformat())
    return scan, clocked(name, COMPARE, str(config), wide_day.DAY.isoformat(), str(NUMERIC + TEXT))


def _config_name(windows: tuple[int, ...]) -> str:
    return f"windows-{'-'.join(map(str, windows))}"


def prepare(root: Path) -> None:
    """Create a registered version and its profiles, each day in a separate commit as in nightly runs."""
    settings = wide_day.write_project(root, training_rows=50_000, numeric=NUMERIC, text=TEXT, versions=["v1"])
    for windows in WINDOWS:
        wide_day.write_config(root, _config_name(windows), drift={"windows_days": list(windows)})
    wide_day.register_versions(settings)
    context = new_context(settings, "windows", is_forced=True)
    with Warehouse.open(settings) as warehouse:
        for day in days_between(wide_day.DAY - timedelta(days=DAYS - 1), wide_day.DAY):
            tables = [Replacement(name, warehouse.sql(rows, [day]), [day]) for name, rows in DAY_ROWS.items()]
            warehouse.replace_partitions(tables, [PartitionRun(day, "profiles", "complete", 0)], context=context)


if __name__ == "__main__":
    main()
