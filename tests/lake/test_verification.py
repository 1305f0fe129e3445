"""Stored rows are checked against the records of the runs, against their keys, and against each other."""

from __future__ import annotations

import shutil

import pytest
from data import day
from project import Project

from driftlake.lake.verification import verify
from driftlake.lake.warehouse import Warehouse

DAYS = 3


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = Project(tmp_path_factory.mktemp("pristine") / "project")
    for number in range(1, DAYS + 1):
        project.telemetry(number)
        project.labels(number)
    project.run(1, DAYS)
    shutil.copytree(project.root, project.root.with_name("copy"))
    return project


@pytest.fixture
def project(pristine: Project) -> Project:
    shutil.rmtree(pristine.root)
    shutil.copytree(pristine.root.with_name("copy"), pristine.root)
    return pristine


def damage(project: Project, *statements: str) -> None:
    with Warehouse.open(project.settings) as warehouse:
        for statement in statements:
            warehouse.write(lambda statement=statement: warehouse.connection.execute(statement))


def wrong(project: Project) -> list[str]:
    with Warehouse.open(project.settings, read_only=True) as warehouse:
        return [deviation.sentence for deviation in verify(warehouse)]


def test_rows_as_the_runs_left_them_are_right(project: Project) -> None:
    assert wrong(project) == []


def test_missing_rows_are_found_and_the_day_is_computed_anew_although_nothing_changed(project: Project) -> None:
    rows = project.contents()
    count = project.rows("select count(*) from feature_drift where dt = ?", day(2))[0][0]
    damage(project, f"delete from feature_drift where dt = date '{day(2)}' and feature = 'x' and window_days = 1")
    left = project.rows("select count(*) from feature_drift where dt = ?", day(2))[0][0]
    assert 0 < left < count
    sentence = f"feature_drift: {left} rows, {count} recorded"
    assert wrong(project) == [f"{day(2)}: {sentence}"]
    reports = {report.stage: report for report in project.run(1, DAYS)}
    assert set(reports["drift"].unchanged) == {day(1), day(3)}
    assert reports["drift"].remarks == [f"{day(2)}: stored rows were damaged and are computed again: {sentence}"]
    assert project.contents() == rows


def test_duplicate_rows_are_found(project: Project) -> None:
    damage(project, f"insert into label_arrivals from label_arrivals where dt = date '{day(1)}'")
    assert wrong(project) == [
        f"{day(1)}: label_arrivals: 2 rows, 1 recorded",
        f"{day(1)}: label_arrivals: 1 key (dt) more than once",
    ]


def test_rows_of_a_table_that_no_run_of_the_day_recorded_are_found(project: Project) -> None:
    damage(
        project,
        "update partition_runs set stored_rows = map_from_entries(list_filter(map_entries(stored_rows),"
        f" entry -> entry.key <> 'feature_drift')) where dt = date '{day(2)}' and stage = 'drift'",
    )
    count = project.rows("select count(*) from feature_drift where dt = ?", day(2))[0][0]
    assert wrong(project) == [f"{day(2)}: feature_drift: {count} rows, none recorded"]


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("update feature_stats set row_count = 299 where feature = 'x'", "feature_profile"),
        ("update feature_drift set current_count = 299 where feature = 'x' and window_days = 1", "feature_drift"),
        ("update model_quality set label_count = 299 where window_days = 7", "model_quality"),
    ],
)
def test_sums_that_do_not_agree_across_tables_are_found(project: Project, statement: str, found: str) -> None:
    damage(project, f"{statement} and dt = date '{day(2)}'")
    assert {tuple(sentence.split(": ")[:2]) for sentence in wrong(project)} >= {(str(day(2)), found)}


def test_a_window_that_is_older_than_its_profiles_is_not_called_wrong(project: Project) -> None:
    project.telemetry(1, x=[0.0] * 100)
    project.run(1, 1)
    assert wrong(project) == []
