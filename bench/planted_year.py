"""Writes a year of predictions of a credit model as a project, with nine planted faults and a harmless season.

A model with eight features scores every day of 2024; labels come one to three days later. Temperature follows the
season as it did in the training data of the year before, scores and volume follow it a little, and days differ by more
than chance. Broken inputs are also scored, so they affect scores and AUC. Not here: running the year and judging what
was raised (`bench.incidents`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import yaml
from sklearn.metrics import roc_auc_score

from driftlake.config import Settings, default_alerts, load_settings
from driftlake.inputs.partitions import days_between

START, END = date(2024, 1, 1), date(2024, 12, 30)
TRAINING_ROWS = 60_000
CHANNELS, COUNTRIES, NODES = ("web", "app", "branch"), ("de", "fr", "us", "br"), ("n1", "n2", "n3", "n4")

Columns = dict[str, Any]
Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault of some days; `cause` is the name of the right cause."""

    name: str
    # the seed shifts it by up to a week
    earliest_day: date
    days: int
    cause: str


FAULTS = (
    Fault("feature goes missing", date(2024, 2, 5), 6, "missing_values"),
    Fault("units change", date(2024, 3, 4), 7, "unit_change"),
    Fault("a category splits", date(2024, 4, 1), 7, "unseen_categories"),
    Fault("a segment shifts", date(2024, 4, 29), 10, "one_segment"),
    Fault("labels stop", date(2024, 5, 27), 14, "labels_stopped"),
    Fault("AUC sinks slowly", date(2024, 7, 1), 45, "quality_loss"),
    Fault("latency doubles on one node", date(2024, 9, 16), 5, "slow_part"),
    Fault("traffic halves", date(2024, 10, 7), 5, "volume_change"),
    Fault("a bad release", date(2024, 11, 4), 10, "release"),
)


@dataclass(frozen=True, slots=True)
class Year:
    """First and last day of each fault, by its name."""

    seed: int
    spans: Mapping[str, tuple[date, date]]

    @classmethod
    def planned(cls, seed: int) -> Year:
        """The year of a seed."""
        moved = np.random.default_rng([seed, 1]).integers(0, 7, len(FAULTS)).tolist()
        first_days = [fault.earliest_day + timedelta(days=days) for fault, days in zip(FAULTS, moved, strict=True)]
        return cls(
            seed,
            {
                fault.name: (first_day, first_day + timedelta(days=fault.days - 1))
                for fault, first_day in zip(FAULTS, first_days, strict=True)
            },
        )

    def has(self, name: str, day: date) -> bool:
        """Whether a fault is active on a day."""
        first_day, last_day = self.spans[name]
        return first_day <= day <= last_day


def configuration() -> dict[str, Any]:
    """The configuration that a user of this model would write: the default rules, and objectives of the service."""
    rules = [rule.model_dump(exclude_defaults=True) for rule in default_alerts()]
    burning = {"name": "burning", "signal": "slo_status.burn_rate", "warn": 2.8, "critical": 14}
    return {
        "telemetry": {"path": "telemetry", "segments": ["country"], "latencies": ["lookup_ms", "inference_ms"]},
        "labels": {"path": "labels"},
        "lineage": {"path": "lineage"},
        "start": START,
        "end": END,
        "drift": {"references": ["training", "preceding"]},
        "slos": [
            {"name": "fast", "sli": "latency", "under_ms": 60, "objective": 0.99},
            {"name": "up", "sli": "availability", "objective": 0.995},
            {"name": "whole", "sli": "completeness", "objective": 0.9},
        ],
        "alerts": [*rules, burning],
    }


def build(root: Path, year: Year, rows: int) -> Settings:
    """Write a year with `rows` predictions on a weekday, its lineage and its configuration."""
    generator = np.random.default_rng(year.seed)
    for folder in ("telemetry", "labels", "lineage"):
        (root / folder).mkdir(parents=True)
    training = _features(generator, generator.uniform(0, 365.25, TRAINING_ROWS))
    odds = _log_odds(training)
    training |= {"score": _probability(odds), "label": _outcomes(odds, generator)}
    pq.write_table(pa.table(training), root / "training.parquet")
    auc = float(roc_auc_score(training["label"], training["score"]))
    for version, released_on in (("v1", START), ("v2", year.spans["a bad release"][0])):
        (root / "lineage" / f"credit-{version}.yaml").write_text(yaml.safe_dump(_lineage(version, released_on, auc)))
    arrived: dict[date, list[pa.Table]] = {}
    for day in days_between(START, END):
        telemetry, labels = _predictions(year, day, rows, generator)
        _write(root / "telemetry", day, telemetry)
        for arrival in pc.unique(labels["arrived_on"]).drop_null().to_pylist():
            of_day = labels.filter(pc.equal(labels["arrived_on"], pa.scalar(arrival)))
            arrived.setdefault(arrival, []).append(of_day.drop_columns(["arrived_on"]))
    for arrival, tables in arrived.items():
        _write(root / "labels", arrival, pa.concat_tables(tables))
    (root / "driftlake.yaml").write_text(yaml.safe_dump(configuration()))
    return load_settings(root / "driftlake.yaml")


def _features(generator: np.random.Generator, day_of_year: Array) -> Columns:
    """A row per day given."""
    count = len(day_of_year)
    return {
        "income": generator.lognormal(10, 0.5, count),
        "amount": generator.lognormal(4, 0.8, count),
        "tenure": generator.gamma(2, 3, count),
        "age": generator.normal(45, 12, count).clip(18, 95),
        "temperature": 10 - 7 * np.cos(2 * np.pi * day_of_year / 365.25) + generator.normal(0, 8, count),
        "visits": generator.poisson(5, count),
        "channel": generator.choice(CHANNELS, count, p=(0.6, 0.3, 0.1)),
        "country": generator.choice(COUNTRIES, count, p=(0.5, 0.25, 0.2, 0.05)),
    }


def _log_odds(columns: Mapping[str, Any]) -> Array:
    """The log-odds of the model, which depend mostly on income; a missing income is replaced by a typical one."""
    income = np.nan_to_num((np.log(columns["income"]) - 10) / 0.5)
    amount = (np.log(columns["amount"]) - 4) / 0.8
    tenure = 0.05 * (columns["tenure"] - 6)
    temperature = 0.1 * (columns["temperature"] - 10) / 9
    result: Array = -1.5 + 0.9 * income - 0.6 * amount + tenure + temperature + 0.3 * (columns["channel"] == "app")
    return result


def _probability(odds: Array) -> Array:
    result: Array = 1 / (1 + np.exp(-odds))
    return result


def _outcomes(odds: Array, generator: np.random.Generator) -> Array:
    return (generator.random(len(odds)) < _probability(odds)).astype(int)


def _predictions(year: Year, day: date, rows: int, generator: np.random.Generator) -> tuple[pa.Table, pa.Table]:
    """Predictions of a day as delivered, and their labels, with the active faults."""
    season = -np.cos(2 * np.pi * day.timetuple().tm_yday / 365.25)
    # days differ by more than chance in the number of predictions and in their features
    usual = rows * (0.7 if day.weekday() > 4 else 1.0) * (1 + 0.1 * season) * generator.lognormal(0, 0.05)
    count = int(generator.poisson(usual / (2 if year.has("traffic halves", day) else 1)))
    columns = _features(generator, np.full(count, day.timetuple().tm_yday))
    columns["income"] = columns["income"] * generator.lognormal(0, 0.03)
    columns["amount"] = columns["amount"] * generator.lognormal(0, 0.05)
    columns["temperature"] = columns["temperature"] + generator.normal(0, 0.8)
    labels = _outcomes(_true_odds(year, day, _log_odds(columns), generator), generator)
    _spoil(year, day, columns)
    odds = _log_odds(columns)
    version = "v1"
    if year.has("a bad release", day):
        # two thirds of the log-odds are noise, and the model is overconfident
        version, odds = "v2", odds / 3 + 0.7 + 0.8 * generator.permutation(odds)
    seconds = generator.integers(0, 86_400, count)
    ids = [f"{day:%m%d}-{row}" for row in range(count)]
    delivered = columns | {
        "correlation_id": ids,
        "event_time": [datetime.combine(day, time()) + timedelta(seconds=int(second)) for second in seconds],
        "model_id": ["credit"] * count,
        "model_version": [version] * count,
        "score": _probability(odds),
        "success": generator.random(count) < 0.999,
        **_latencies(year, day, count, generator),
    }
    arrivals = [day + timedelta(days=int(days)) for days in generator.integers(1, 4, count)]
    arrived = [None if year.has("labels stop", arrival) else arrival for arrival in arrivals]
    return pa.table(delivered), pa.table({"correlation_id": ids, "label": labels, "arrived_on": arrived})


def _true_odds(year: Year, day: date, odds: Array, generator: np.random.Generator) -> Array:
    """The log-odds that labels follow: those of the model, with a falling weight while the AUC falls."""
    if not year.has("AUC sinks slowly", day):
        return odds
    first_day, last_day = year.spans["AUC sinks slowly"]
    lost = 0.85 * ((day - first_day).days + 1) / ((last_day - first_day).days + 1)
    result: Array = (1 - lost) * odds + lost * generator.permutation(odds)
    return result


def _spoil(year: Year, day: date, columns: Columns) -> None:
    """What breaks upstream of the model."""
    if year.has("feature goes missing", day):
        columns["income"] = np.where(np.arange(len(columns["income"])) % 5 < 3, np.nan, columns["income"])
    if year.has("units change", day):
        columns["amount"] = columns["amount"] * 100
    if year.has("a category splits", day):
        is_split = np.arange(len(columns["channel"])) % 2 == 0
        columns["channel"] = np.where((columns["channel"] == "web") & is_split, "web-mobile", columns["channel"])
    if year.has("a segment shifts", day):
        columns["tenure"] = columns["tenure"] + np.where(columns["country"] == "fr", 9.0, 0.0)


def _latencies(year: Year, day: date, count: int, generator: np.random.Generator) -> Columns:
    node = generator.choice(NODES, count)
    is_slow = year.has("latency doubles on one node", day) & (node == "n2")
    lookup, inference = (generator.lognormal(2.3, 0.5, count) * np.where(is_slow, 2.0, 1.0) for _ in range(2))
    return {"node_id": node, "lookup_ms": lookup, "inference_ms": inference, "latency_ms": lookup + inference}


def _lineage(version: str, released_on: date, auc: float) -> dict[str, Any]:
    return {
        "model_id": "credit",
        "model_version": version,
        "training_run_id": f"run-{version}",
        "training_dataset_id": "year-2023",
        "training_data": "../training.parquet",
        "target": "label",
        "score": "score",
        "label_delay": {"p50_days": 2, "p95_days": 3, "max_days": 3},
        "baseline": {"auc": auc},
        "released_at": datetime.combine(released_on, time()),
        "feature_importance": {"income": 0.5, "amount": 0.3, "tenure": 0.1, "channel": 0.07, "temperature": 0.03},
    }


def _write(folder: Path, day: date, table: pa.Table) -> None:
    (folder / f"dt={day}").mkdir()
    pq.write_table(table, folder / f"dt={day}" / "part-0.parquet")
