"""Nights with faults: bad input is refused by name, the rest runs, and no stored row is lost."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from data import day, write_day, write_project
from project import ROWS, Project, break_pages, outcomes, truncate

from driftlake.contract.row_checks import Contract, ContractCheck, Contracts
from driftlake.errors import ConfigurationError, ContractError, InputError
from driftlake.inputs.partitions import days_between
from driftlake.lake.warehouse import Warehouse
from driftlake.nightly.labels import count_labels
from driftlake.nightly.profiles import profile_days
from driftlake.nightly.stages import new_context

Answer = Callable[[duckdb.DuckDBPyConnection, Sequence[date]], list[ContractCheck]]


@dataclass(frozen=True)
class Scripted(Contract):
    """A contract with given outcomes, without Great Expectations."""

    answer: Answer = lambda *_: []

    def check(self, connection: duckdb.DuckDBPyConnection, days: Sequence[date]) -> list[ContractCheck]:
        return self.answer(connection, days)


def contracts_saying(answer: Answer) -> Contracts:
    return Contracts(
        Scripted("telemetry", "telemetry", "predictions", (), answer=answer),
        Scripted("labels", "checked_labels", "labels", (), answer=answer),
        Scripted("training", "training_rows", "training_rows", (), answer=answer),
    )


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "project")


def predictions_by_day(project: Project) -> list[tuple[Any, ...]]:
    return project.rows("select dt, sum(row_count)::bigint from prediction_profile group by dt order by dt")


def test_running_again_with_another_number_of_threads_gives_the_same_rows(project: Project) -> None:
    for number in (1, 2, 3):
        project.telemetry(number)
        project.labels(number)
    # threads divide a day by its files
    project.telemetry(2, name="part-1", correlation_id=[f"e{row}" for row in range(ROWS)])
    project.run(1, 3)
    before = project.contents()
    project.configure(compute={"threads": 2})
    project.run(1, 3, is_forced=True)
    assert project.contents() == before


@pytest.mark.parametrize("damage", [truncate, break_pages])
def test_a_damaged_file_refuses_its_day_and_keeps_what_was_stored(project: Project, damage: Any) -> None:
    paths = [project.telemetry(number) for number in (1, 2, 3)]
    project.run(1, 3, until="profiles")
    stored = project.contents("feature_profile")
    damage(paths[1])
    [profiles] = project.run(1, 3, until="profiles")
    assert outcomes(profiles) == {day(1): "complete", day(2): "refused", day(3): "complete"}
    assert str(paths[1]) in str(profiles.refused[0].reason)
    assert project.contents("feature_profile") == stored


def test_labels_counted_once_are_kept_when_their_telemetry_breaks(project: Project) -> None:
    path = project.telemetry(1)
    project.labels(2, predicted=1)
    project.run(1, 2, until="label_cohorts")
    stored = project.contents("label_cohorts")["label_cohorts"]
    break_pages(path)
    project.run(2, 2, until="label_cohorts")
    assert project.contents("label_cohorts")["label_cohorts"] == stored
    assert stored


def test_a_damaged_label_file_refuses_its_day_only(project: Project) -> None:
    project.telemetry(1)
    truncate(project.labels(1))
    project.labels(2, predicted=1)
    _, labels = project.run(1, 2, until="label_cohorts")
    assert outcomes(labels) == {day(1): "refused", day(2): "complete"}


def test_a_damaged_label_file_is_refused_though_its_contract_cannot_be_evaluated(project: Project) -> None:
    def contract(connection: duckdb.DuckDBPyConnection, _days: Sequence[date]) -> list[Any]:
        try:
            connection.execute("select max(correlation_id), max(label) from labels")
        except duckdb.Error as error:
            raise ContractError("an expectation could not be evaluated") from error
        return []

    project.labels(1)
    break_pages(project.labels(2))
    with Warehouse.open(project.settings) as warehouse:
        days = [day(1), day(2)]
        labels = count_labels(
            warehouse, project.settings, new_context(project.settings, "test"), days, contracts_saying(contract)
        )
    assert outcomes(labels) == {day(1): "complete", day(2): "refused"}


def test_a_missing_day_is_recorded_and_is_not_a_failure(project: Project) -> None:
    project.telemetry(4)
    project.telemetry(6)
    [profiles] = project.run(4, 6, until="profiles")
    assert outcomes(profiles)[day(5)] == "missing"
    assert not profiles.refused
    assert project.rows("select message from contract_checks where dt = ?", day(5)) == [
        (f"there is no telemetry for {day(5)}",)
    ]


def test_an_empty_day_is_empty(project: Project) -> None:
    path = project.telemetry(1)
    write_day(project.root / "telemetry", 2, pa.parquet.read_table(path).slice(0, 0))
    [profiles] = project.run(1, 2, until="profiles")
    assert outcomes(profiles) == {day(1): "complete", day(2): "empty"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x": None}, "has no column x"),
        ({"x": ["many"] * ROWS}, "column x has type string, expected numeric as in training"),
    ],
)
def test_a_feature_that_cannot_be_read_is_refused_and_the_others_run(
    project: Project, changes: Mapping[str, Any], message: str
) -> None:
    path = project.telemetry(1, **changes)
    profiles, *_ = project.run(1, 1, until="drift")
    assert outcomes(profiles) == {day(1): "partial"}
    assert message in str(profiles.runs[0].reason)
    assert str(path) in str(profiles.runs[0].reason)
    assert project.rows("select distinct feature from feature_profile") == [("colour",)]
    assert project.rows(
        "select distinct outcome, reason from feature_drift where feature = 'x' and window_days = 1"
    ) == [("insufficient_data", "no values in the window")]


def test_a_required_column_that_is_missing_refuses_the_file(project: Project) -> None:
    path = project.telemetry(1, model_version=None)
    [profiles] = project.run(1, 1, until="profiles")
    assert profiles.runs[0].reason == f"{path} has no column model_version"


def test_rows_of_an_unknown_version_are_left_out_and_the_others_counted(project: Project) -> None:
    project.telemetry(1, model_version=["v1"] * 200 + ["v9"] * (ROWS - 200))
    project.run(1, 1, until="profiles")
    assert predictions_by_day(project) == [(day(1), 200)]


def test_a_prediction_delivered_twice_is_counted_once(project: Project) -> None:
    project.telemetry(1)
    project.telemetry(1, name="part-1")
    project.run(1, 1, until="profiles")
    assert predictions_by_day(project) == [(day(1), ROWS)]
    assert project.rows("select sum(row_count)::bigint from feature_profile where feature = 'x'") == [(ROWS,)]


def test_labels_for_unknown_predictions_and_second_labels_are_counted_as_such(project: Project) -> None:
    project.telemetry(1)
    ids = [f"d1-{row}" for row in range(ROWS - 2)]
    project.labels(1, correlation_id=[*ids, "nobody", "d1-0"])
    project.run(1, 1, until="label_cohorts")
    assert project.rows("select matched_count, unmatched_count, duplicate_count from label_arrivals") == [
        (ROWS - 2, 1, 1)
    ]


def test_without_labels_everything_else_works(tmp_path: Path) -> None:
    project = Project(tmp_path / "project", labels=None)
    project.telemetry(1)
    project.run(1, 1)
    assert project.rows("select distinct reason from model_quality where statistic = 'auc'") == [
        ("no labels have arrived for the window",)
    ]
    assert project.rows("from label_backlog") == []
    assert project.rows("select count(*) > 0 from feature_drift where outcome = 'stable'") == [(True,)]


def test_without_scores_everything_else_works(project: Project) -> None:
    project.telemetry(1, score=None)
    project.labels(1)
    project.run(1, 1)
    assert project.rows("select distinct reason from model_quality where statistic = 'auc'") == [
        ("no scores to rank by",)
    ]
    assert project.rows("select count(*) > 0 from feature_drift where outcome = 'stable'") == [(True,)]


def test_mapped_columns_and_a_struct_of_features_give_the_same_profile(tmp_path: Path, project: Project) -> None:
    project.telemetry(1)
    project.run(1, 1, until="profiles")
    other = Project(
        tmp_path / "other",
        telemetry={"path": "telemetry", "columns": {"correlation_id": "request"}, "features_column": "features"},
    )
    table = pa.parquet.read_table(project.telemetry(1))
    features = pa.StructArray.from_arrays([table[n].combine_chunks() for n in ("x", "colour")], ["x", "colour"])
    table = table.drop_columns(["x", "colour"]).append_column("features", features)
    write_day(other.root / "telemetry", 1, table.rename_columns({"correlation_id": "request"}))
    other.run(1, 1, until="profiles")
    assert other.contents("feature_profile") == project.contents("feature_profile")


def test_without_a_registered_version_the_run_says_what_to_do(tmp_path: Path) -> None:
    settings = write_project(tmp_path / "project", features=["x"], training={"x": [1.0]})
    with Warehouse.open(settings) as warehouse, pytest.raises(ConfigurationError, match="driftlake lineage add FILE"):
        profile_days(warehouse, settings, new_context(settings, "test"), [day(1)])


def test_every_input_file_is_recorded_with_its_fingerprint(project: Project) -> None:
    path = project.telemetry(1)
    project.run(1, 1, until="profiles")
    ((recorded, outcome, fingerprint),) = project.rows(
        "select path, outcome, content_fingerprint from input_files where source = 'telemetry'"
    )
    assert (recorded, outcome, len(fingerprint)) == (str(path), "read", 64)


def read_inputs(project: Project, *, is_forced: bool = False) -> None:
    """The stages of day 1 that read files; the others read tables alone."""
    project.run(1, 1, until="label_cohorts", is_forced=is_forced)


def file_versions(project: Project) -> list[tuple[Any, ...]]:
    return project.rows(
        "select parse_filename(path), outcome, run_id from input_files where source = 'telemetry'"
        " order by snapshot_id, path"
    )


def test_running_an_unchanged_day_again_records_no_file_again(project: Project) -> None:
    project.telemetry(1)
    read_inputs(project)
    read_inputs(project, is_forced=True)
    assert file_versions(project) == [("part-0.parquet", "read", "test")]


def test_every_version_of_a_file_stays_recorded_and_the_newest_is_current(project: Project) -> None:
    project.telemetry(1)
    project.telemetry(1, name="part-1")
    read_inputs(project)
    truncate(project.telemetry(1, score=[0.5] * ROWS))
    (project.root / "telemetry" / f"dt={day(1)}" / "part-1.parquet").unlink()
    read_inputs(project)
    assert file_versions(project) == [
        ("part-0.parquet", "read", "test"),
        ("part-1.parquet", "read", "test"),
        ("part-0.parquet", "refused", "test"),
        ("part-1.parquet", "removed", "test"),
    ]
    current = project.rows("select parse_filename(path), outcome from current_input_files where source = 'telemetry'")
    assert current == [("part-0.parquet", "refused")]


def test_a_file_that_came_back_is_current_again(project: Project) -> None:
    path = project.telemetry(1)
    read_inputs(project)
    path.unlink()
    read_inputs(project)
    project.telemetry(1)
    read_inputs(project)
    assert [outcome for _, outcome, _ in file_versions(project)] == ["read", "removed", "read"]
    assert project.rows("select count(*) from current_input_files") == [(1,)]


def contract_of(expectation: str, severity: str) -> Answer:
    """A contract that fails on every day that it checks."""

    def check(_connection: Any, days: Sequence[date]) -> list[ContractCheck]:
        return [
            ContractCheck(d, "telemetry", expectation, "score", severity, "failed", ROWS, 1, "", f"{d} is bad")  # type: ignore[arg-type]  # two literals
            for d in days
            if d == day(2)
        ]

    return check


@pytest.mark.parametrize(("severity", "outcome"), [("error", "refused"), ("warning", "complete")])
def test_a_broken_contract_blocks_its_day_if_it_is_an_error(project: Project, severity: str, outcome: str) -> None:
    for number in (1, 2):
        project.telemetry(number)
    days = [day(1), day(2)]
    with Warehouse.open(project.settings) as warehouse:
        context = new_context(project.settings, "test")
        report = profile_days(
            warehouse, project.settings, context, days, contracts_saying(contract_of("good", severity))
        )
    assert outcomes(report) == {day(1): "complete", day(2): outcome}
    assert project.rows("select dt, message from contract_checks where outcome = 'failed'") == [
        (day(2), f"{day(2)} is bad")
    ]


def refusing(day_number: int) -> Answer:
    """A contract that one day breaks, whatever else is checked with it."""

    def check(_connection: Any, days: Sequence[date]) -> list[ContractCheck]:
        bad = [d for d in days if d == day(day_number)]
        return [ContractCheck(d, "labels", "good", None, "error", "failed", ROWS, 1, "", "bad") for d in bad]

    return check


def test_labels_refused_one_night_count_when_they_come_again(project: Project) -> None:
    project.telemetry(1)
    project.labels(2, predicted=1)
    project.labels(3, predicted=1)
    with Warehouse.open(project.settings) as warehouse:
        for number in (1, 2, 3):
            context = new_context(project.settings, "test")
            profile_days(warehouse, project.settings, context, [day(number)])
            count_labels(warehouse, project.settings, context, [day(number)], contracts_saying(refusing(2)))
    assert project.rows("select dt, matched_count, duplicate_count from label_arrivals order by dt") == [
        (day(3), ROWS, 0)
    ]


class Spy:
    """A contract that no day breaks; it records the days that it checks."""

    def __init__(self) -> None:
        self.asked: list[list[int]] = []

    def __call__(self, _connection: Any, days: Sequence[date]) -> list[Any]:
        self.asked.append([(each - day(1)).days + 1 for each in days])
        return []


def test_labels_of_earlier_days_are_not_checked_again_unless_they_changed(project: Project) -> None:
    spy = Spy()
    for number in (1, 2, 3):
        project.labels(number)
        project.run(number, number, until="label_cohorts")
    with Warehouse.open(project.settings) as warehouse:
        project.labels(4)
        count_labels(
            warehouse, project.settings, new_context(project.settings, "test"), [day(4)], contracts_saying(spy)
        )
        project.labels(2, label=[1] * ROWS)
        project.labels(5)
        count_labels(
            warehouse, project.settings, new_context(project.settings, "test"), [day(5)], contracts_saying(spy)
        )
    assert spy.asked == [[4], [2, 5]]


def test_a_backfill_checks_the_labels_of_each_day_once(tmp_path: Path) -> None:
    project, spy = Project(tmp_path / "project", compute={"rows_per_chunk": ROWS, "threads": 1}), Spy()
    for number in (1, 2, 3):
        project.labels(number)
    with Warehouse.open(project.settings) as warehouse:
        days = days_between(day(1), day(3))
        count_labels(warehouse, project.settings, new_context(project.settings, "test"), days, contracts_saying(spy))
    assert spy.asked == [[1], [2], [3]]


def test_telemetry_that_was_refused_gets_no_labels(project: Project) -> None:
    project.telemetry(1)
    project.labels(1)
    with Warehouse.open(project.settings) as warehouse:
        context = new_context(project.settings, "test")
        profile_days(warehouse, project.settings, context, [day(1)], contracts_saying(refusing(1)))
        count_labels(warehouse, project.settings, context, [day(1)])
    assert project.rows("select matched_count, unmatched_count from label_arrivals") == [(0, ROWS)]
    assert project.rows("from label_cohorts") == []


def test_a_missing_telemetry_folder_is_an_error(project: Project) -> None:
    (project.root / "telemetry").rename(project.root / "elsewhere")
    with pytest.raises(InputError, match="there is no folder"):
        project.run(1, 1)
