"""A backfill gives the rows of nightly runs in every table, however its days are divided into runs."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from data import day, write_day
from effort import examples
from hypothesis import HealthCheck, example, given, settings
from project import Project, kept, restored

LAST = 3
ROWS = 60
NUMBERS = st.integers(1, LAST)
SHORT = {"windows_days": [1, 2]}
RULES = [
    {"name": "drift", "signal": "feature_drift.psi", "window_days": 2, "warn": 0.1, "critical": 9, "minimum_sample": 1},
    {"name": "overdue", "signal": "label_backlog.overdue_share", "warn": 0.01, "critical": 0.5, "minimum_sample": 1},
    {"name": "doubtful", "signal": "contract_checks.warning_share", "warn": 0.01, "critical": 0.5},
    {"name": "broken", "signal": "contract_checks.failed", "warn": 1, "critical": 1},
    {"name": "lost", "signal": "schema_changes.lost", "warn": 1, "critical": 10},
]
SLOS = [
    {"name": "whole", "sli": "completeness", "objective": 0.9},
    {"name": "timely", "sli": "label_timeliness", "within_days": 1, "objective": 0.9},
]


@dataclass(frozen=True)
class Predictions:
    """Telemetry of a day, with ids of the day or of customers who come every day; some days have another column."""

    of_customers: bool = False
    shift: float = 0.0
    has_extra: bool = False
    unknown_share: float = 0.0


@dataclass(frozen=True)
class Labels:
    """A file of true or opposite labels for the predictions of a day; some values and one id may be invalid."""

    arrived: int
    predicted: int
    of_customers: bool = False
    names_day: bool = False
    is_wrong: bool = False
    impossible_count: int = 0


@dataclass(frozen=True)
class History:
    predictions: Sequence[Predictions | None]
    labels: Sequence[Labels]
    corrections: str = "first"


@dataclass(frozen=True)
class Plan:
    """Last days of the earlier runs, the number of days in a chunk, and the files that arrive after all runs."""

    last_days: frozenset[int]
    chunk_days: int = LAST
    late_telemetry: frozenset[int] = frozenset()
    late_labels: frozenset[int] = frozenset()


PREDICTIONS = st.builds(
    Predictions,
    of_customers=st.booleans(),
    shift=st.sampled_from([0.0, 2.0]),
    has_extra=st.booleans(),
    unknown_share=st.sampled_from([0.0, 0.1]),
)
LABELS = st.builds(
    Labels,
    arrived=NUMBERS,
    predicted=NUMBERS,
    of_customers=st.booleans(),
    names_day=st.booleans(),
    is_wrong=st.booleans(),
    impossible_count=st.sampled_from([0, 0, 3]),
)
HISTORIES = st.builds(
    History,
    predictions=st.lists(st.none() | PREDICTIONS, min_size=LAST, max_size=LAST),
    labels=st.lists(LABELS, min_size=3, max_size=8),
    corrections=st.sampled_from(["first", "latest"]),
)
PLANS = st.builds(
    Plan,
    last_days=st.frozensets(st.integers(1, LAST - 1), min_size=1),
    chunk_days=st.integers(1, LAST),
    late_telemetry=st.frozensets(NUMBERS, max_size=2),
    late_labels=st.frozensets(NUMBERS, max_size=2),
)
NIGHTS = Plan(last_days=frozenset(range(1, LAST)), late_labels=frozenset({2}))
# late, early, corrected and repeated labels, of ids of one day and of customers
OF_CUSTOMERS = History(
    [
        Predictions(of_customers=True, has_extra=True),
        Predictions(unknown_share=0.1),
        Predictions(of_customers=True, shift=2.0),
    ],
    [
        Labels(arrived=1, predicted=2),
        Labels(arrived=1, predicted=1, of_customers=True),
        Labels(arrived=2, predicted=1, of_customers=True, is_wrong=True),
        Labels(arrived=3, predicted=2, impossible_count=3),
        Labels(arrived=3, predicted=3, of_customers=True, names_day=True),
        Labels(arrived=3, predicted=1, of_customers=True, names_day=True),
    ],
)

# that history must have rows in these tables, so that the comparison is meaningful
TELLING = (
    "alerts",
    "contract_checks",
    "incidents",
    "label_arrivals",
    "label_backlog",
    "label_cohorts",
    "label_conflicts",
    "model_quality",
    "quarantine",
    "schema_changes",
    "slo_status",
)


def deliver(project: Project, history: History) -> None:
    for number, predictions in enumerate(history.predictions, start=1):
        if predictions:
            project.telemetry(number, **columns_of(number, predictions))
    for place, labels in enumerate(history.labels):
        write_day(project.root / "labels", labels.arrived, rows_of(labels), name=f"part-{place}")


def columns_of(number: int, predictions: Predictions) -> dict[str, Any]:
    generator = np.random.default_rng(number)
    unknown_count = int(predictions.unknown_share * ROWS)
    return {
        "correlation_id": ids_of(number, of_customers=predictions.of_customers),
        "x": generator.normal(size=ROWS) + predictions.shift,
        "model_version": ["v1"] * (ROWS - unknown_count) + ["unknown"] * unknown_count,
    } | ({"extra": ["x"] * ROWS} if predictions.has_extra else {})


def rows_of(labels: Labels) -> dict[str, Any]:
    truth = np.random.default_rng(100 + labels.predicted).integers(0, 2, ROWS)
    said = 1 - truth if labels.is_wrong else truth
    said[: labels.impossible_count] = 7
    named = {"prediction_on": [day(labels.predicted)] * ROWS} if labels.names_day else {}
    ids: list[str | None] = [*ids_of(labels.predicted, of_customers=labels.of_customers)]
    if labels.impossible_count:
        # goes to quarantine
        ids[-1] = None
    return {"correlation_id": ids, "label": said} | named


def ids_of(number: int, *, of_customers: bool) -> list[str]:
    return [f"customer-{row}" if of_customers else f"d{number}-{row}" for row in range(ROWS)]


def worked_on(project: Project, plan: Plan) -> dict[str, list[tuple[Any, ...]]]:
    """All tables after the runs of a plan; days whose files come late are run again with them."""
    project = restored(project)
    project.configure(compute={"threads": 1, "rows_per_chunk": plan.chunk_days * ROWS})
    late = [project.root / "telemetry" / f"dt={day(number)}" for number in plan.late_telemetry]
    late += [project.root / "labels" / f"dt={day(number)}" for number in plan.late_labels]
    withheld = [path for path in late if path.exists()]
    for path in withheld:
        path.rename(aside(path))
    first = 1
    for last in sorted(plan.last_days | {LAST}):
        project.run(first, last, is_checked=True)
        first = last + 1
    for path in withheld:
        shutil.move(aside(path), path)
    if withheld:
        project.run(1, LAST, is_checked=True)
    return project.contents()


def aside(path: Path) -> Path:
    return path.parent.parent / f"late {path.parent.name} {path.name}"


# the simplest history, which comes first, has no predictions
@settings(max_examples=examples(1), deadline=None, suppress_health_check=list(HealthCheck))
@given(history=HISTORIES.filter(lambda history: sum(map(bool, history.predictions)) > 1), plan=PLANS)
@example(history=OF_CUSTOMERS, plan=NIGHTS)
def test_a_backfill_gives_what_the_nights_gave(
    tmp_path_factory: pytest.TempPathFactory, history: History, plan: Plan
) -> None:
    project = Project(
        tmp_path_factory.mktemp("backfill") / "project",
        drift=SHORT | {"minimum_rows": 10},
        quality=SHORT | {"calibration_days": 2},
        labels={"path": "labels", "horizon_days": 2, "corrections": history.corrections},
        lineage={"label_delay": {"p50_days": 0, "p95_days": 1, "max_days": 2}},
        alerts=RULES,
        slos=SLOS,
    )
    deliver(project, history)
    backfilled = worked_on(kept(project), Plan(frozenset()))
    found = worked_on(project, plan)
    if history is OF_CUSTOMERS:
        assert [table for table in TELLING if not backfilled[table]] == []
    for table, rows in backfilled.items():
        assert found[table] == rows, table
