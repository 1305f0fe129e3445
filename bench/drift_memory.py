"""Claim: the drift stage keeps to compute.memory_limit + 1 GB, however many days, features, versions and segments there are.

`python -m bench.drift_memory`; profile rows are generated in the warehouse, no telemetry is read. Prints a table, writes
results/drift_memory.json. `--largest` adds 400 features x 5 versions x 50 segments x 60 days, which takes hours and 20 GB of
disk; `--sizes 400x2x12x20` measures sizes of your own.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from bench import wide_day
from bench.measure import Measurement, apart, clocked, environment, save
from driftlake.config import load_settings
from driftlake.inputs.partitions import days_between
from driftlake.lake.warehouse import Warehouse

SIZES = ("20x1x0x300", "100x1x0x60", "400x2x12x10", "400x2x12x60", "400x5x50x2")
LARGEST = "400x5x50x60"
MEMORY_LIMIT, ALLOWANCE_MB = "2GB", 1_000
# Windows are compared with the windows before, so that segments are judged too; training has no segments.
DRIFT = {"windows_days": [1, 7], "references": ["preceding"]}
# Days before the first one, which its windows and references need.
HISTORY_DAYS = 13
# Number of features of a version and segment that are written to the warehouse in one statement.
FEATURE_DAYS_AT_ONCE = 100_000
# A segment has a tenth of the rows, and so about half of the bins.
_DAY_ROWS = """
    select
        d.dt,
        r.model_id,
        r.model_version,
        'production' as deployment,
        if(s.segment = 0, 'all', 'place=p' || s.segment) as segment,
        {columns},
        greatest(1, r.row_count * (0.8 + 0.4 * random()) / if(s.segment = 0, 10, 100))::bigint as row_count
    from reference_profile as r
    cross join range($segments + 1) as s(segment)
    cross join (select unnest(range($first::date, $last::date + 1, interval 1 day))::date as dt) as d
    where (r.feature = 'score') = $is_score and (s.segment = 0 or hash(r.feature, r.bin_id, s.segment, d.dt) % 2 = 0)
"""
DAY_ROWS = {
    "feature_profile": (_DAY_ROWS.format(columns="r.feature, r.bin_id"), False),
    "prediction_profile": (_DAY_ROWS.format(columns="r.bin_id, 0.0 as score_sum"), True),
}
FEATURE_STATS = """
    select dt, model_id, model_version, deployment, segment, feature, sum(row_count)::bigint as row_count, 0 as missing_count
    from feature_profile where dt between $first and $last
    group by dt, model_id, model_version, deployment, segment, feature
"""
COMPARE = """
import sys
from datetime import date
from pathlib import Path
from driftlake.nightly.derived import compare_days
from driftlake.nightly.stages import new_context
from driftlake.config import load_settings
from driftlake.inputs.partitions import days_between
from driftlake.lake.warehouse import Warehouse

settings = load_settings(Path(sys.argv[1]))
first, last = (date.fromisoformat(day) for day in sys.argv[2:])
context = new_context(settings, "drift_memory", is_forced=True)
with Warehouse.open(settings) as warehouse:
    clock(lambda: compare_days(warehouse, settings, context, days_between(first, last)), warm=lambda: None)
"""
COUNTED = """
    select
        (select count(distinct snapshot_id) from partition_runs where stage = 'drift') as passes,
        (select count(*) from feature_drift) as found
"""


@dataclass(frozen=True, slots=True)
class Size:
    """The size of a comparison."""

    features: int
    versions: int
    segments: int
    days: int

    @classmethod
    def of(cls, text: str) -> Size:
        """From features x versions x segments x days."""
        return cls(*map(int, text.split("x")))


@dataclass(frozen=True, slots=True)
class Result:
    """Time and memory of one run of the stage."""

    name: str
    passes: int
    found_rows: int
    measurement: Measurement


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="*", default=SIZES, help="features x versions x segments x days")
    parser.add_argument("--largest", action="store_true", help=f"{LARGEST}, too")
    options = parser.parse_args()
    print(f"memory_limit {MEMORY_LIMIT}\nfeatures x versions x segments x days   passes  M rows  seconds  peak MB")
    results = []
    for text in (*options.sizes, *([LARGEST] if options.largest else [])):
        with tempfile.TemporaryDirectory() as folder:
            results.append(measure(Path(folder) / "project", text))
        result = results[-1]
        print(
            f"{text:<38}{result.passes:8}{result.found_rows / 1e6:8.1f}{result.measurement.seconds:9.1f}"
            f"{result.measurement.peak_mb:9.0f}",
            flush=True,
        )
    print(_verdict(results))
    print(save("drift_memory", {"environment": environment(), "results": results}))


def _verdict(results: Sequence[Result]) -> str:
    limit_mb = 2_000 + ALLOWANCE_MB
    largest = max(result.measurement.peak_mb for result in results)
    return f"memory stays below {limit_mb:,} MB: {'holds' if largest <= limit_mb else 'DOES NOT HOLD'}, at most {largest:,.0f}"


def measure(root: Path, text: str) -> Result:
    """One call of the drift stage over all days of a size."""
    size = Size.of(text)
    apart(prepare, root, size)
    first = wide_day.DAY - timedelta(days=size.days - 1)
    measurement = clocked(text, COMPARE, str(root / "driftlake.yaml"), first.isoformat(), wide_day.DAY.isoformat())
    with Warehouse.open(load_settings(root / "driftlake.yaml"), read_only=True) as warehouse:
        [counted] = warehouse.sql(COUNTED).to_pylist()
    return Result(text, counted["passes"], counted["found"], measurement)


def prepare(root: Path, size: Size) -> None:
    """Create registered versions, and the profiles of all days that some window needs."""
    text = size.features // 4
    names = [f"v{number}" for number in range(1, size.versions + 1)]
    wide_day.write_project(root, training_rows=20_000, numeric=size.features - text, text=text, versions=names)
    telemetry = {"segments": ["place"]} if size.segments else {}
    settings = load_settings(
        wide_day.write_config(
            root, "driftlake", telemetry=telemetry, drift=DRIFT, compute={"memory_limit": MEMORY_LIMIT}
        )
    )
    wide_day.register_versions(load_settings(wide_day.write_config(root, "registration")))
    days = days_between(wide_day.DAY - timedelta(days=size.days - 1 + HISTORY_DAYS), wide_day.DAY)
    at_once = max(1, FEATURE_DAYS_AT_ONCE // (size.features * size.versions * (size.segments + 1)))
    with Warehouse.open(settings) as warehouse:
        for some in (days[start : start + at_once] for start in range(0, len(days), at_once)):
            span = {"first": some[0], "last": some[-1]}
            for table, (rows, is_score) in DAY_ROWS.items():
                values = {**span, "segments": size.segments, "is_score": is_score}
                _insert(warehouse, table, rows, values)
            _insert(warehouse, "feature_stats", FEATURE_STATS, span)


def _insert(warehouse: Warehouse, table: str, rows: str, values: Mapping[str, object]) -> None:
    statement = f"insert into {table} by name {rows}"
    warehouse.write(lambda: warehouse.connection.execute(statement, values).fetchall())


if __name__ == "__main__":
    main()
