"""A scripted year with ten planted faults: does every fault become one incident with its cause first, and nothing else?

`python -m bench.incidents [--rows 2000]`; prints a table beside a plain rule (a PSI of a feature over 0.25 on a day's window),
writes results/incidents.json. A model with eight features scores every day of 2024; labels come one to three days
later. One feature has seasons that are no fault. The year is generated with a fixed seed and runs through the stages.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from bench.measure import environment, save
from driftlake.config import Settings, load_settings
from driftlake.inputs import days_between
from driftlake.lineage import read_lineage_folder
from driftlake.nightly import (
    compare_days,
    count_labels,
    measure_quality,
    new_context,
    profile_days,
    raise_alerts,
)
from driftlake.registration import register
from driftlake.warehouse import Warehouse
from expectations.contracts import contracts

START, END = date(2024, 1, 1), date(2024, 12, 30)
TRAINING_ROWS = 60_000
CHANNELS, COUNTRIES, NODES = ("web", "app", "branch"), ("de", "fr", "us", "br"), ("n1", "n2", "n3", "n4")
# What was planted is looked for until so long after its end: a week of windows, and the delay of labels.
GRACE_DAYS = 10

Columns = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that goes wrong for some days; `causes` are the names of probable causes that are right."""

    name: str
    first_day: date
    days: int
    causes: Sequence[str]
    # features that a rule on single features would have to name
    features: Sequence[str] = ()

    @property
    def last_day(self) -> date:
        """Last day on which it is there."""
        return self.first_day + timedelta(days=self.days - 1)

    def covers(self, day: date) -> bool:
        """Whether it is there on a day."""
        return self.first_day <= day <= self.last_day

    def explains(self, day: date) -> bool:
        """Whether what opens on a day can be of this fault."""
        return self.first_day <= day <= self.last_day + timedelta(days=GRACE_DAYS)


FAULTS = (
    Fault("feature goes missing", date(2024, 2, 5), 6, ("missing_values",), ("income",)),
    Fault("units change", date(2024, 3, 4), 7, ("unit_change",), ("amount",)),
    Fault("a category splits", date(2024, 4, 1), 7, ("unseen_categories",), ("channel",)),
    Fault("a segment shifts", date(2024, 4, 29), 10, ("segment",), ("tenure",)),
    Fault("labels stop", date(2024, 5, 27), 14, ("labels_stopped",)),
    Fault("AUC sinks slowly", date(2024, 7, 1), 45, ("quality_loss",)),
    Fault("latency doubles on one node", date(2024, 9, 9), 5, ("node_latency",)),
    Fault("traffic halves", date(2024, 10, 7), 5, ("volume_change",)),
    Fault("a bad release", date(2024, 11, 4), 10, ("version_release",)),
    Fault("a column is renamed", date(2024, 12, 9), 4, ("schema_change",), ("age",)),
)
_OF = {fault.name: fault for fault in FAULTS}


def features(generator: np.random.Generator, count: int, day_of_year: float) -> Columns:
    """Features of predictions of a day; `temperature` follows the seasons as it did in training."""
    return {
        "income": generator.lognormal(10, 0.5, count),
        "amount": generator.lognormal(4, 0.8, count),
        "tenure": generator.gamma(2, 3, count),
        "age": generator.normal(45, 12, count).clip(18, 95),
        "temperature": 10 + 4 * np.sin(2 * np.pi * day_of_year / 365.25) + generator.normal(0, 8, count),
        "visits": generator.poisson(5, count),
        "channel": generator.choice(CHANNELS, count, p=(0.6, 0.3, 0.1)),
        "country": generator.choice(COUNTRIES, count, p=(0.5, 0.25, 0.2, 0.05)),
    }


def log_odds(columns: Mapping[str, Any]) -> np.ndarray[Any, Any]:
    """What the model has learned: half of it from the income, the rest from what else it knows."""
    income = (np.log(columns["income"]) - 10) / 0.5
    amount = (np.log(columns["amount"]) - 4) / 0.8
    return -1.5 + 0.9 * income - 0.6 * amount + 0.05 * (columns["tenure"] - 6) + 0.3 * (columns["channel"] == "app")


def probabilities(odds: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Logistic function."""
    result: np.ndarray[Any, Any] = 1 / (1 + np.exp(-odds))
    return result


def telemetry_of(day: date, rows: int, generator: np.random.Generator) -> tuple[Columns, Columns]:
    """Predictions of a day as they are delivered, and their labels, with the faults that are there."""
    count = int(generator.poisson(rows * (0.7 if day.weekday() > 4 else 1.0)))
    if _OF["traffic halves"].covers(day):
        count //= 2
    columns = features(generator, count, day.timetuple().tm_yday)
    odds = log_odds(columns)
    outcomes = generator.random(count) < probabilities(_true_odds(day, odds, generator))
    scores = probabilities(odds)
    version = "v1"
    if _OF["a bad release"].covers(day):
        version, scores = "v2", probabilities(odds[generator.permutation(count)] + 0.7)
    node = generator.choice(NODES, count)
    latency = generator.lognormal(3, 0.4, count) * np.where(
        _OF["latency doubles on one node"].covers(day) & (node == "n2"), 2.2, 1.0
    )
    _spoil(day, columns)
    seconds = generator.integers(0, 86_400, count)
    ids = [f"{day:%m%d}-{row}" for row in range(count)]
    delivered = columns | {
        "correlation_id": ids,
        "event_time": [datetime.combine(day, time()) + timedelta(seconds=int(second)) for second in seconds],
        "model_id": ["credit"] * count,
        "model_version": [version] * count,
        "score": scores,
        "latency_ms": latency,
        "node_id": node,
        "success": generator.random(count) < 0.999,
    }
    labels = {"correlation_id": ids, "label": outcomes.astype(int), "arrived_on": day_after(day, count, generator)}
    return delivered, labels


def _true_odds(day: date, odds: np.ndarray[Any, Any], generator: np.random.Generator) -> np.ndarray[Any, Any]:
    """What labels follow: the model's odds, less and less of them while its AUC sinks."""
    fault = _OF["AUC sinks slowly"]
    if not fault.covers(day):
        return odds
    lost = 0.85 * ((day - fault.first_day).days + 1) / fault.days
    return (1 - lost) * odds + lost * odds[generator.permutation(len(odds))]


def _spoil(day: date, columns: Columns) -> None:
    """What breaks upstream of the model's features, after it has scored."""
    if _OF["feature goes missing"].covers(day):
        columns["income"] = pa.nulls(len(columns["income"]), pa.float64())
    if _OF["units change"].covers(day):
        columns["amount"] = columns["amount"] * 100
    if _OF["a category splits"].covers(day):
        is_split = np.arange(len(columns["channel"])) % 2 == 0
        columns["channel"] = np.where((columns["channel"] == "web") & is_split, "web-mobile", columns["channel"])
    if _OF["a segment shifts"].covers(day):
        columns["tenure"] = columns["tenure"] + np.where(columns["country"] == "fr", 9.0, 0.0)
    if _OF["a column is renamed"].covers(day):
        columns["customer_age"] = columns.pop("age")


def day_after(day: date, count: int, generator: np.random.Generator) -> list[date | None]:
    """When each label arrives, one to three days later; none while labels have stopped."""
    arrivals = [day + timedelta(days=int(days)) for days in generator.integers(1, 4, count)]
    return [None if _OF["labels stop"].covers(arrival) else arrival for arrival in arrivals]


def build(root: Path, rows: int) -> Settings:
    """Write the year, its lineage and its configuration."""
    generator = np.random.default_rng(2024)
    for folder in ("telemetry", "labels", "lineage"):
        (root / folder).mkdir(parents=True)
    training = features(generator, TRAINING_ROWS, 0) | _all_year(generator)
    odds = log_odds(training)
    training |= {"score": probabilities(odds), "label": (generator.random(len(odds)) < probabilities(odds)).astype(int)}
    pq.write_table(pa.table(training), root / "training.parquet")
    for version, released in (("v1", START), ("v2", _OF["a bad release"].first_day)):
        (root / "lineage" / f"credit-{version}.yaml").write_text(yaml.safe_dump(_lineage(version, released)))
    arrived: dict[date, list[pa.Table]] = {}
    for day in days_between(START, END):
        delivered, labels = telemetry_of(day, rows, generator)
        _write(root / "telemetry", day, pa.table(delivered))
        table = pa.table(labels)
        for arrival in set(labels["arrived_on"]) - {None}:
            of_day = table.filter(pa.compute.equal(table["arrived_on"], pa.scalar(arrival)))
            arrived.setdefault(arrival, []).append(of_day.drop_columns(["arrived_on"]))
    for arrival, tables in arrived.items():
        _write(root / "labels", arrival, pa.concat_tables(tables))
    (root / "driftlake.yaml").write_text(yaml.safe_dump(CONFIGURATION))
    return load_settings(root / "driftlake.yaml")


CONFIGURATION: Mapping[str, Any] = {
    "telemetry": {"path": "telemetry", "segments": ["country"]},
    "labels": {"path": "labels"},
    "lineage": {"path": "lineage"},
    "start": START,
    "end": END,
}


def _all_year(generator: np.random.Generator) -> Columns:
    """The temperature of training: of every day of a year."""
    days = generator.uniform(0, 365.25, TRAINING_ROWS)
    return {"temperature": 10 + 4 * np.sin(2 * np.pi * days / 365.25) + generator.normal(0, 8, TRAINING_ROWS)}


def _lineage(version: str, released: date) -> dict[str, Any]:
    return {
        "model_id": "credit",
        "model_version": version,
        "training_run_id": f"run-{version}",
        "training_dataset_id": "year-2023",
        "training_data": "../training.parquet",
        "target": "label",
        "score": "score",
        "label_delay": {"p50_days": 2, "p95_days": 3, "max_days": 3},
        "released_at": datetime.combine(released, time()),
        "feature_importance": {"income": 0.5, "amount": 0.3, "tenure": 0.1, "channel": 0.1},
    }


def _write(folder: Path, day: date, table: pa.Table) -> None:
    (folder / f"dt={day}").mkdir()
    pq.write_table(table, folder / f"dt={day}" / "part-0.parquet")


def run(settings: Settings) -> None:
    """Every stage over the whole year."""
    days = days_between(START, END)
    context = new_context(settings, "bench.incidents")
    stages: Sequence[Callable[..., Any]] = (compare_days, measure_quality, raise_alerts)
    with Warehouse.open(settings) as warehouse:
        register(warehouse, settings, read_lineage_folder(settings))
        profile_days(warehouse, settings, context, days, contracts(settings.contracts))
        count_labels(warehouse, settings, context, days, contracts(settings.contracts))
        for stage in stages:
            stage(warehouse, settings, context, days)


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something that was raised: when it opened, and the name of its cause if it has one."""

    opened_on: date
    cause: str | None = None


def incidents(warehouse: Warehouse) -> list[Alarm]:
    """Every incident of the year."""
    rows = warehouse.sql(
        "select distinct incident_id, opened_on, arg_max(cause, dt) as cause from incidents group by all order by opened_on"
    ).to_pylist()
    return [Alarm(row["opened_on"], row["cause"]) for row in rows]


def plain_alarms(warehouse: Warehouse) -> list[Alarm]:
    """What a plain rule raises: runs of days on which the PSI of a feature is over 0.25, a feature at a time."""
    rows = warehouse.sql(
        "select feature, min(dt) as opened_on from ("
        " select feature, dt, dt - (row_number() over (partition by model_version, feature order by dt))::integer as run"
        " from feature_drift where statistic = 'psi' and window_days = 1 and segment = 'all' and reference = 'training'"
        " and deployment = 'production' and value > 0.25) group by feature, run order by opened_on"
    ).to_pylist()
    return [Alarm(row["opened_on"]) for row in rows]


def judge(alarms: Sequence[Alarm]) -> dict[str, Any]:
    """Precision over alarms, recall over faults, how many alarms a found fault had, and days until the first."""
    found = {fault.name: [alarm for alarm in alarms if fault.explains(alarm.opened_on)] for fault in FAULTS}
    explained = {id(alarm) for of_fault in found.values() for alarm in of_fault}
    hit = {name: of_fault for name, of_fault in found.items() if of_fault}
    delays = [min((a.opened_on - _OF[name].first_day).days for a in of_fault) for name, of_fault in hit.items()]
    return {
        "alarms": len(alarms),
        "precision": len(explained) / len(alarms) if alarms else 1.0,
        "recall": len(hit) / len(FAULTS),
        "alarms_per_found_fault": len(explained) / len(hit) if hit else 0.0,
        "right_cause": sum(of_fault[0].cause in _OF[name].causes for name, of_fault in hit.items()),
        "median_delay_days": float(np.median(delays)) if delays else None,
        "faults": {
            name: [(str(alarm.opened_on), alarm.cause) for alarm in of_fault] for name, of_fault in found.items()
        },
        "unexplained": [(str(alarm.opened_on), alarm.cause) for alarm in alarms if id(alarm) not in explained],
    }


def main() -> None:
    """Build, run and judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=2000, help="Predictions of a weekday.")
    parser.add_argument("--keep", type=Path, help="Folder to build the year in, and to keep.")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        settings = build(arguments.keep or Path(folder) / "year", arguments.rows)
        run(settings)
        with Warehouse.open(settings, read_only=True) as warehouse:
            judged = {"incidents": judge(incidents(warehouse)), "PSI > 0.25": judge(plain_alarms(warehouse))}
    names = ("alarms", "precision", "recall", "alarms_per_found_fault", "right_cause", "median_delay_days")
    print(f"{'':<12}" + "".join(f"{name:>24}" for name in names))
    for name, result in judged.items():
        print(f"{name:<12}" + "".join(f"{result[each]!s:>24.6}" for each in names))
    for name, of_fault in judged["incidents"]["faults"].items():
        print(f"{name:<30} {of_fault}")
    print(f"{'unexplained':<30} {judged['incidents']['unexplained']}")
    save("incidents", {"environment": environment(), "rows": arguments.rows, **judged})


if __name__ == "__main__":
    main()
