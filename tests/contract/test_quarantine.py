"""Files and rows that cannot be used are left out and named, the rest is counted, and no earlier count is lost."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from data import day, noon
from project import ROWS, Project, break_pages, outcomes, truncate

BROKEN = 6
WITHOUT_IDS = [None] * BROKEN + [f"d1-{row}" for row in range(BROKEN, ROWS)]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "project")


def quarantined(project: Project) -> list[tuple[Any, ...]]:
    return project.rows("select dt, source, path, expectation, row_count from quarantine order by all")


def counted(project: Project) -> list[tuple[Any, ...]]:
    return project.rows("select dt, sum(row_count)::int from prediction_profile where segment = 'all' group by dt")


def reason(project: Project, stage: str = "profiles") -> str:
    [(found,)] = project.rows("select reason from current_runs where stage = ? and reason is not null", stage)
    return str(found)


@pytest.mark.parametrize("damage", [truncate, break_pages])
def test_a_damaged_file_is_left_out_and_the_rest_of_its_day_is_counted(project: Project, damage: Any) -> None:
    project.telemetry(1)
    path = project.telemetry(1, name="part-1", correlation_id=[f"e{row}" for row in range(50)])
    damage(path)
    project.labels(1)
    profiles, labels = project.run(1, 1, until="label_cohorts")
    assert outcomes(profiles) == {day(1): "partial"}
    assert counted(project) == [(day(1), ROWS)]
    known = 50 if damage is break_pages else None
    assert quarantined(project) == [(day(1), "telemetry", str(path), "file_is_readable", known)]
    assert "% of the day is counted" in reason(project)
    assert outcomes(labels) == {day(1): "complete"}
    assert project.rows("select sum(positive_count + negative_count)::int from label_cohorts") == [(ROWS,)]


def test_a_day_with_more_than_half_of_its_bytes_unusable_is_refused(project: Project) -> None:
    project.telemetry(1)
    truncate(project.telemetry(1, name="part-1", correlation_id=[f"e{row}" for row in range(3 * ROWS)]))
    [profiles] = project.run(1, 1, until="profiles")
    assert outcomes(profiles) == {day(1): "refused"}
    assert "which is more than contracts.largest_quarantined_share" in reason(project)


def test_a_file_that_was_damaged_after_it_was_read_keeps_its_counts(project: Project) -> None:
    project.telemetry(1)
    path = project.telemetry(1, name="part-1", correlation_id=[f"e{row}" for row in range(50)])
    project.run(1, 1, until="profiles")
    truncate(path)
    for _ in range(2):
        [profiles] = project.run(1, 1, until="profiles", is_forced=True)
        assert outcomes(profiles) == {day(1): "refused"}
    assert counted(project) == [(day(1), ROWS + 50)]


def test_a_repaired_file_is_counted_and_leaves_quarantine(project: Project) -> None:
    project.telemetry(1)
    ids = [f"e{row}" for row in range(50)]
    truncate(project.telemetry(1, name="part-1", correlation_id=ids))
    project.run(1, 1, until="profiles")
    project.telemetry(1, name="part-1", correlation_id=ids)
    [profiles] = project.run(1, 1, until="profiles")
    assert outcomes(profiles) == {day(1): "complete"}
    assert counted(project) == [(day(1), ROWS + 50)]
    assert quarantined(project) == []


def test_rows_that_break_an_error_are_left_out_everywhere_and_named(project: Project) -> None:
    project.telemetry(2)
    path = project.telemetry(1, event_time=[None] * BROKEN + [noon(1)] * (ROWS - BROKEN))
    project.labels(1)
    profiles, labels = project.run(1, 2, until="label_cohorts", is_checked=True)
    assert outcomes(profiles) == {day(1): "partial", day(2): "complete"}
    assert sorted(counted(project)) == [(day(1), ROWS - BROKEN), (day(2), ROWS)]
    assert quarantined(project) == [(day(1), "telemetry", str(path), "event_time_is_present", BROKEN)]
    assert reason(project).startswith("98.0% of the day is counted; 6 rows of ")
    assert outcomes(labels)[day(1)] == "complete"
    assert project.rows("select sum(positive_count + negative_count)::int from label_cohorts") == [(ROWS - BROKEN,)]
    # the next night joins labels to the same rows
    project.labels(2, predicted=1)
    project.run(2, 2, until="label_cohorts", is_checked=True)
    assert project.rows("select sum(positive_count + negative_count)::int from label_cohorts") == [(ROWS - BROKEN,)]


def test_a_row_that_breaks_two_rules_is_listed_once(project: Project) -> None:
    both = [None] + [noon(1)] * (ROWS - 1)
    project.telemetry(1, correlation_id=WITHOUT_IDS, event_time=both)
    project.run(1, 1, until="profiles", is_checked=True)
    assert [(rule, count) for *_, rule, count in quarantined(project)] == [("correlation_id_is_present", BROKEN)]
    assert counted(project) == [(day(1), ROWS - BROKEN)]


def test_labels_without_an_id_are_left_out_and_their_day_is_counted(project: Project) -> None:
    project.telemetry(1)
    path = project.labels(1, correlation_id=WITHOUT_IDS)
    _, labels = project.run(1, 1, until="label_cohorts", is_checked=True)
    assert outcomes(labels) == {day(1): "partial"}
    assert quarantined(project) == [(day(1), "labels", str(path), "correlation_id_is_present", BROKEN)]
    assert project.rows("select sum(positive_count + negative_count)::int from label_cohorts") == [(ROWS - BROKEN,)]


def test_a_day_with_mostly_broken_rows_is_refused_and_keeps_its_rows(project: Project) -> None:
    project.telemetry(1)
    project.run(1, 1, until="profiles", is_checked=True)
    project.telemetry(1, correlation_id=[None] * 200 + [f"d1-{row}" for row in range(200, ROWS)])
    [profiles] = project.run(1, 1, until="profiles", is_checked=True)
    assert outcomes(profiles) == {day(1): "refused"}
    assert reason(project).startswith("66.7% of the rows break the contract")
    assert counted(project) == [(day(1), ROWS)]


def test_a_warning_configured_as_an_error_quarantines_rows(project: Project) -> None:
    project.configure(contracts={"severities": {"score_is_a_probability": "error"}})
    project.telemetry(1, score=[2.0] * BROKEN + [0.5] * (ROWS - BROKEN))
    project.run(1, 1, until="profiles", is_checked=True)
    assert [(rule, count) for *_, rule, count in quarantined(project)] == [("score_is_a_probability", BROKEN)]


def failed(project: Project, number: int) -> dict[str, tuple[int, str]]:
    rows = project.rows(
        "select expectation, unexpected_count, message from contract_checks where outcome = 'failed' and dt = ?",
        day(number),
    )
    return {name: (count, message) for name, count, message in rows}


def test_a_prediction_delivered_twice_is_a_warning(project: Project) -> None:
    project.telemetry(1, correlation_id=["same"] * 3 + [f"d1-{row}" for row in range(3, ROWS)])
    project.run(1, 1, until="profiles", is_checked=True)
    assert failed(project, 1)["prediction_is_unique"] == (
        2, "correlation_id repeats for the same model version in 2 of 300 rows; each prediction is counted once."
    )  # fmt: skip


def test_fewer_rows_than_on_such_weekdays_is_a_warning(project: Project) -> None:
    for number in (1, 8, 15):
        project.telemetry(number)
    project.telemetry(22, correlation_id=[f"d22-{row}" for row in range(100)])
    project.run(15, 22, until="profiles", is_checked=True)
    assert "row_count_is_usual" not in failed(project, 15)
    assert failed(project, 22)["row_count_is_usual"] == (
        200, "the day has 100 rows, 300 are usual (median of the 3 same weekdays before)."
    )  # fmt: skip


def test_a_day_that_ends_before_its_evening_is_a_warning(project: Project) -> None:
    project.telemetry(1, event_time=[noon(1) - timedelta(hours=6)] * ROWS)
    project.run(1, 1, until="profiles", is_checked=True)
    assert "06:00 UTC" in failed(project, 1)["partition_reaches_its_evening"][1]


def test_a_feature_that_goes_missing_is_a_warning_of_its_version(project: Project) -> None:
    project.telemetry(1, x=[None] * 30 + [0.5] * (ROWS - 30))
    project.run(1, 1, until="profiles", is_checked=True)
    assert failed(project, 1)["feature_is_as_complete_as_in_training"] == (
        30, "x is missing in 30 of 300 rows, 10.0% against 0.0% in training."
    )  # fmt: skip
    assert project.rows(
        "select model_id, model_version, column_name from contract_checks"
        " where expectation = 'feature_is_as_complete_as_in_training'"
    ) == [("credit", "v1", "x")]
