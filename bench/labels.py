"""The label stage of a night: 4,000,000 labels looked up among 28 days of predictions, 110,000,000 in all.

`python -m bench.labels`; prints a table, writes results/labels.json. The comparison is DuckDB's bare scan of the ids of
the same predictions, in the same call. `--predictions`, `--labels`, `--days` and `--earlier` make it smaller; by
default its inputs need 10 GB of disk and three minutes.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import duckdb
import yaml

from bench.measure import Measurement, apart, best_of, clocked, environment, save
from driftlake.config import load_settings
from driftlake.lake.warehouse import Warehouse
from driftlake.lineage.lineage_files import read_lineage_folder
from driftlake.training.registration import register

REPEATS = 2
# The labels arrive on this day, for predictions of the days up to it.
DAY = date(2026, 1, 31)
# Counted first, so that no measurement includes one-time loading.
EMPTY_DAY = DAY - timedelta(days=200)
MEMORY_LIMIT = "2GB"
# Share of the outstanding labels that arrives each day: 87 % arrive within a week.
DAILY_SHARE = 0.25
WEEK_DAYS = 7
PRIME = 1_299_709
COLUMNS = "correlation_id, label, label_time"

SCAN = """
import sys, duckdb
with duckdb.connect() as connection:
    connection.execute("set enable_progress_bar = false")
    connection.execute(f"set threads = {int(sys.argv[2])}")
    scan = f"select max(hash(correlation_id)) from read_parquet('{sys.argv[1]}')"
    clock(lambda: connection.execute(scan).fetchall())
"""
COUNT = """
import sys
from datetime import date
from pathlib import Path
from driftlake.nightly.labels import count_labels
from driftlake.nightly.stages import new_context
from driftlake.config import load_settings
from driftlake.lake.warehouse import Warehouse

settings = load_settings(Path(sys.argv[1]))
day, empty_day = (date.fromisoformat(day) for day in sys.argv[2:])
context = new_context(settings, "labels", is_forced=True)
with Warehouse.open(settings) as warehouse:
    def count(day, outcome):
        runs = count_labels(warehouse, settings, context, [day]).runs
        assert [run.outcome for run in runs] == [outcome], runs

    clock(lambda: count(day, "complete"), warm=lambda: count(empty_day, "empty"))
"""


@dataclass(frozen=True, slots=True)
class LabelCase:
    """Labels of one kind: how old their predictions are, how many days of such labels arrived before."""

    name: str
    title: str
    oldest_days: int
    columns: str = COLUMNS
    earlier_days: int = 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--predictions", type=int, default=3_930_000, help="predictions a day")
    parser.add_argument("--labels", type=int, default=4_000_000, help="labels a day")
    parser.add_argument("--days", type=int, default=28, help="days of predictions")
    parser.add_argument("--earlier", type=int, default=28, help="days of labels before, in the last case")
    parser.add_argument("--repeats", type=int, default=REPEATS)
    options = parser.parse_args()
    dated = f"{COLUMNS}, prediction_on"
    cases = [
        LabelCase("plain", "without prediction_on", options.days),
        LabelCase("dated", "with prediction_on", options.days, dated),
        LabelCase("week", "with prediction_on, of the last week", WEEK_DAYS, dated),
        LabelCase("history", f"without, and {options.earlier} days of labels before", options.days, COLUMNS, options.earlier),
    ]  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        apart(write_inputs, Path(folder), cases, options.predictions, options.labels, options.days)
        print(f"inputs written in {time.perf_counter() - started:.0f} s")
        scan, counts = measure(Path(folder), [case.name for case in cases], options.repeats)
    keys = options.predictions * options.days
    print(
        f"{options.labels:,} labels of a day, {keys:,} predictions of {options.days} days, memory_limit {MEMORY_LIMIT}"
    )
    print(f"{'scan of correlation_id':<38} {scan.seconds:6.1f} s {scan.cpu_seconds:6.1f} s cpu {scan.peak_mb:6.0f} MB")
    for case in cases:
        count = counts[case.name]
        print(
            f"{case.title:<38} {count.seconds:6.1f} s {count.cpu_seconds:6.1f} s cpu {count.peak_mb:6.0f} MB"
            f"  ratio {count.seconds / scan.seconds:5.2f}"
        )
    result = {"environment": environment(), "options": vars(options), "memory_limit": MEMORY_LIMIT}
    print(save("labels", {**result, "scan": scan, "counts": counts}))


def measure(root: Path, cases: Sequence[str], repeats: int) -> tuple[Measurement, Mapping[str, Measurement]]:
    """The scan and the label stage of every case, taken in turns."""
    threads = load_settings(root / f"{cases[0]}.yaml").compute.threads
    scans: list[Measurement] = []
    counts: dict[str, list[Measurement]] = {case: [] for case in cases}
    for _ in range(repeats):
        scans.append(clocked("scan", SCAN, f"{root}/telemetry/*/*.parquet", str(threads)))
        for case in cases:
            days = (DAY.isoformat(), EMPTY_DAY.isoformat())
            counts[case].append(clocked(case, COUNT, str(root / f"{case}.yaml"), *days))
    return best_of(repeats, scans), {case: best_of(repeats, counts[case]) for case in cases}


def write_inputs(root: Path, cases: Sequence[LabelCase], predictions: int, labels: int, days: int) -> None:
    """Predictions, the labels of every case, and a warehouse for each."""
    write_predictions(root / "telemetry", predictions, days)
    for case in cases:
        write_labels(root / case.name, case, predictions, labels)
        write_project(root, case.name)


def write_project(root: Path, case: str) -> None:
    """A warehouse with two registered versions, for the labels of one case."""
    if not (root / "training.parquet").exists():
        (root / "lineage").mkdir()
        with duckdb.connect() as connection:
            training = "select random() as score, random() as x from range(20000)"
            connection.execute(f"copy ({training}) to '{root}/training.parquet'")
        for version in ("v1", "v2"):
            record = {
                "model_id": "ranker",
                "model_version": version,
                "training_run_id": f"run-{version}",
                "training_dataset_id": "training",
                "training_data": "../training.parquet",
                "score": "score",
                "features": ["x"],
            }
            (root / "lineage" / f"{version}.yaml").write_text(yaml.safe_dump(record))
    content = {
        "telemetry": {"path": "telemetry"},
        "labels": {"path": case},
        "lineage": {"path": "lineage"},
        "warehouse": {"catalog": f"sqlite:{case}-warehouse/catalog.sqlite", "data": f"{case}-warehouse/data"},
        "start": EMPTY_DAY,
        "contracts": {"enabled": False},
        "compute": {"memory_limit": MEMORY_LIMIT},
    }
    (root / f"{case}.yaml").write_text(yaml.safe_dump(content))
    settings = load_settings(root / f"{case}.yaml")
    with Warehouse.open(settings) as warehouse:
        register(warehouse, settings, read_lineage_folder(settings))


def write_predictions(folder: Path, rows: int, days: int) -> None:
    """Predictions of the days up to DAY, each by one of two versions; ids are 32 hexadecimal digits in no order."""
    with duckdb.connect() as connection:
        connection.execute("set enable_progress_bar = false")
        for age in range(days):
            day = DAY - timedelta(days=age)
            (folder / f"dt={day}").mkdir(parents=True)
            connection.execute(f"""
                copy (
                    select
                        -- neighbours are labelled on different days
                        md5(concat('{day}', i * {PRIME} % {rows})) as correlation_id,
                        date '{day}' + to_microseconds(i * 86400000000 // {rows}) as event_time,
                        'ranker' as model_id,
                        if(hash(i) % 2 = 0, 'v1', 'v2') as model_version,
                        random() as score
                    from range({rows}) as r(i)
                ) to '{folder}/dt={day}/part-0.parquet'
                """)


def write_labels(folder: Path, case: LabelCase, predictions: int, labels: int) -> None:
    """Labels of DAY and of the days before; 1 in 1,000 has no prediction, and surplus labels are repetitions."""
    labelled_share = 1 - (1 - DAILY_SHARE) ** case.oldest_days
    with duckdb.connect() as connection:
        connection.execute("set enable_progress_bar = false")
        for arrival in range(case.earlier_days, -1, -1):
            day = DAY - timedelta(days=arrival)
            (folder / f"dt={day}").mkdir(parents=True)
            connection.execute(f"""
                copy (
                    with timed as (
                        select
                            i,
                            floor(ln(1 - (i + 0.5) / {labels} * {labelled_share}) / ln({1 - DAILY_SHARE}))::integer as age
                        from range({labels}) as r(i)
                    ),

                    -- each age has its own numbers, so no prediction is labelled on two days
                    named as (
                        select *, date '{day}' - age as prediction_on, i * {predictions} // {labels} as number
                        from timed
                    ),

                    label_rows as (
                        select
                            if(i % 1000 = 7, 'unknown-', '') || md5(concat(prediction_on, number)) as correlation_id,
                            (hash(number) % 10 = 0)::integer as label,
                            date '{day}' + to_microseconds(i * 86400000000 // {labels}) as label_time,
                            prediction_on
                        from named
                    )

                    select {case.columns} from label_rows
                ) to '{folder}/dt={day}/part-0.parquet'
                """)


if __name__ == "__main__":
    main()
