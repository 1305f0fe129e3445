"""Corrected labels, from files to measured quality, compared with a project that has only the newest labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from class_predictions import LINEAGE, SCORES, Predictions
from data import day
from project import ROWS, Project

LAST = 3
# (arrival day, prediction day, first and last row, how often its label has been changed): some are corrected, some of
# these back again, and some come again as they were.
ARRIVALS = (
    (1, 1, (0, ROWS), 0),
    (2, 1, (0, 50), 1),
    (2, 1, (50, 80), 0),
    (2, 2, (0, ROWS), 0),
    (3, 1, (0, 20), 0),
    (3, 2, (100, 200), 1),
    (3, 3, (0, ROWS), 0),
)
LATEST = {"path": "labels", "corrections": "latest"}
SUMS = {
    "label_cohorts": "positive_count, negative_count, number_count, true_positive_count, false_positive_count",
    "class_cohorts": "row_count",
    "class_score_cohorts": "positive_count, negative_count",
    "shadow_cohorts": "positive_count, negative_count",
}
KEYS = {
    "label_cohorts": "prediction_on, model_version, deployment, segment, bin_id",
    "class_cohorts": "prediction_on, model_version, deployment, segment, predicted_class, label_class",
    "class_score_cohorts": "prediction_on, model_version, deployment, segment, scored_class, bin_id",
    "shadow_cohorts": "prediction_on, model_version, deployment, bin_id, production_bin_id",
}


def binary(root: Path, **sections: Any) -> Project:
    """v1 in production, and v2 beside it in shadow."""
    project = Project(
        root, drift={"minimum_rows": 10}, telemetry={"path": "telemetry", "segments": ["colour"]}, **sections
    )
    project.register("v2")
    for number in range(1, LAST + 1):
        project.telemetry(number)
        scores = np.random.default_rng(50 + number).random(ROWS)
        shadow = {"model_version": ["v2"] * ROWS, "deployment": ["shadow"] * ROWS, "score": scores}
        project.telemetry(number, name="part-1", **shadow)
    return project


def multiclass(root: Path, **sections: Any) -> Project:
    project = Project(root, lineage=LINEAGE, telemetry={"path": "telemetry", "class_scores": SCORES}, **sections)
    for number in range(1, LAST + 1):
        project.telemetry(number, **Predictions(number).columns(), colour=["red", "blue"] * (ROWS // 2))
    return project


def number_of(row: int, changed: int) -> int:
    return (row // 3 + changed) % 2


def class_of(row: int, changed: int) -> str:
    return ("bus", "car", "tram")[(row // 3 + changed) % 3]


LabelOf = Callable[[int, int], Any]
MODELS: dict[str, tuple[Callable[..., Project], LabelOf]] = {
    "binary": (binary, number_of),
    "multiclass": (multiclass, class_of),
}


def arrive(project: Project, label_of: LabelOf, *, newest_only: bool) -> None:
    """Write the labels of ARRIVALS, or only the last one of every prediction."""
    arrived = [
        (arrival, f"d{predicted}-{row}", label_of(row, changed))
        for arrival, predicted, rows, changed in ARRIVALS
        for row in range(*rows)
    ]
    newest = {name: arrival for arrival, name, _ in arrived}
    for number in range(1, LAST + 1):
        kept = [each for each in arrived if each[0] == number and (not newest_only or newest[each[1]] == number)]
        project.labels(number, correlation_id=[name for _, name, _ in kept], label=[label for *_, label in kept])


@pytest.fixture(scope="module", params=MODELS)
def model(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def corrected(model: str, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A backfill of all days in which the latest labels count."""
    build, label_of = MODELS[model]
    project = build(tmp_path_factory.mktemp("corrected") / "project", labels=LATEST)
    arrive(project, label_of, newest_only=False)
    project.measure(1, LAST)
    return project


def test_corrected_labels_give_the_rows_of_the_newest_labels_alone(
    tmp_path: Path, model: str, corrected: Project
) -> None:
    build, label_of = MODELS[model]
    alone = build(tmp_path / "alone")
    arrive(alone, label_of, newest_only=True)
    alone.measure(1, LAST)
    for table in SUMS:
        assert sums(corrected, table) == sums(alone, table), table
    for table, what in (("model_quality", QUALITY), ("shadow_comparison", SHADOW), ("label_backlog", BACKLOG)):
        assert_close(measured(corrected, table, what), measured(alone, table, what))
    assert sums(corrected, "label_cohorts")


QUALITY = (
    "model_version, deployment, segment, window_days, statistic, value, confidence_low, confidence_high, label_count"
)
SHADOW = "model_version, window_days, statistic, value, confidence_low, confidence_high"
BACKLOG = "model_version, deployment, segment, age_bucket, labelled_count, outstanding_count, overdue_count"


def sums(project: Project, table: str) -> list[tuple[Any, ...]]:
    counted = ", ".join(f"sum({name})" for name in SUMS[table].split(", "))
    rows = project.rows(f"select {KEYS[table]}, {counted} from {table} group by {KEYS[table]} order by all")
    places = len(KEYS[table].split(", "))
    # counts that are taken back completely leave a row of zeros
    return [row for row in rows if any(row[places:])]


def measured(project: Project, table: str, what: str) -> list[tuple[Any, ...]]:
    estimates = " and not starts_with(statistic, 'estimated_')" if table == "model_quality" else ""
    return project.rows(f"select {what} from {table} where dt = ?{estimates} order by all", day(LAST))


def assert_close(found: Sequence[tuple[Any, ...]], expected: Sequence[tuple[Any, ...]]) -> None:
    """The same rows, except for the last digits of floats, which depend on the order of sums."""
    assert len(found) == len(expected)
    for found_row, expected_row in zip(found, expected, strict=True):
        for value, wanted in zip(found_row, expected_row, strict=True):
            assert value == (pytest.approx(wanted, abs=1e-9) if isinstance(wanted, float) else wanted), (
                found_row,
                expected_row,
            )


def test_a_backfill_of_corrections_gives_the_rows_of_the_nights(tmp_path: Path, model: str, corrected: Project) -> None:
    build, label_of = MODELS[model]
    nightly = build(tmp_path / "nightly", labels=LATEST)
    arrive(nightly, label_of, newest_only=False)
    for number in range(1, LAST + 1):
        nightly.measure(number, number)
    tables = (*SUMS, "label_conflicts", "label_arrivals", "model_quality", "label_backlog", "shadow_comparison")
    found = nightly.contents(*tables)
    for table, rows in corrected.contents(*tables).items():
        assert found[table] == rows, table
    assert found["label_conflicts"]


def test_the_first_labels_count_unless_latest_is_configured(tmp_path: Path) -> None:
    project = binary(tmp_path / "project")
    arrive(project, number_of, newest_only=False)
    project.run(1, LAST, until="label_cohorts")
    conflicts = "select dt, model_version, label_before, label_after, sum(conflict_count) from label_conflicts"
    counted = {row[:4]: row[4] for row in project.rows(f"{conflicts} group by all")}
    # rows 0 to 49 of day 1; rows 100 to 199 of day 2; that rows 0 to 19 of day 1 came back contradicts no first label
    for version in ("v1", "v2"):
        assert counted.pop((day(2), version, "0", "1")) + counted.pop((day(2), version, "1", "0")) == 50
        assert counted.pop((day(3), version, "0", "1")) + counted.pop((day(3), version, "1", "0")) == 100
    assert counted == {}
    counted_first = cohorts_by_day(project)
    project.configure(labels=LATEST)
    project.run(1, LAST, until="label_cohorts")
    counted_latest = cohorts_by_day(project)
    assert [counted_latest[day(number)] == counted_first[day(number)] for number in (1, 2, 3)] == [True, False, False]


def cohorts_by_day(project: Project) -> dict[date, list[Any]]:
    rows: dict[date, list[Any]] = {}
    for dt, *row in project.rows(f"select dt, {KEYS['label_cohorts']}, positive_count from label_cohorts order by all"):
        rows.setdefault(dt, []).append(row)
    return rows
