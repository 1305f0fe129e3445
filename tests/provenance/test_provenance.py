"""Where a number comes from: the runs and files behind a row, and the unchangeable trail of versions."""

from __future__ import annotations

import json
import re
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from data import day
from project import ROWS, STAGES, Project

from driftlake.errors import LineageConflictError, WarehouseError
from driftlake.lake.warehouse import Replacement, Warehouse
from driftlake.nightly.stages import STAGES as DECLARED
from driftlake.provenance.text import as_json, as_text
from driftlake.provenance.trace import Provenance, explain

ROOT = Path(__file__).resolve().parents[2]
LAST = 5


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Five days: windows of one and three days, labels of the day within a day, feature x elsewhere on the last two."""
    rule = {"name": "x", "signal": "feature_drift.psi", "window_days": 1, "warn": 0.5, "critical": 9}
    project = Project(
        tmp_path_factory.mktemp("explained") / "project",
        lineage={"baseline": {"auc": 0.9, "accuracy": 0.8}},
        drift={"windows_days": [1, 3], "minimum_rows": 10},
        quality={"windows_days": [1, 3], "calibration_days": 3},
        labels={"path": "labels", "horizon_days": 1},
        alerts=[rule],
        slos=[{"name": "whole", "sli": "completeness", "objective": 0.9}],
    )
    for number in range(1, LAST + 1):
        project.telemetry(number, **({"x": [9.0] * ROWS} if number > 3 else {}))
        project.labels(number)
    project.run(1, LAST)
    return project


def explained(project: Project, relation: str, number: int | None = None, condition: str | None = None) -> Provenance:
    with Warehouse.open(project.settings, read_only=True) as warehouse:
        asked = day(number) if number else None
        return explain(warehouse, project.settings, relation, day=asked, condition=condition)


def read(found: Provenance) -> dict[str, list[int]]:
    """Numbers of the days whose files a row depends on, by source."""
    days: dict[str, list[int]] = {}
    for file in found.files:
        days.setdefault(file["source"], []).append((file["dt"] - day(0)).days)
    return days


PSI = "feature = 'x' and statistic = 'psi' and segment = 'all' and window_days = {}"


def test_a_row_of_a_window_depends_on_the_files_of_every_day_in_it(project: Project) -> None:
    assert read(explained(project, "feature_drift", 5, PSI.format(3))) == {"telemetry": [3, 4, 5]}
    assert read(explained(project, "feature_drift", 5, PSI.format(1))) == {"telemetry": [5]}


def test_quality_depends_on_telemetry_and_labels_and_the_stages_between(project: Project) -> None:
    found = explained(project, "model_quality", 3, "statistic = 'auc' and segment = 'all' and window_days = 1")
    assert [run["stage"] for run in found.runs] == ["model_quality"]
    assert {run["stage"] for run in found.earlier_runs} == {"profiles", "label_cohorts"}
    assert read(found) == {"telemetry": [1, 2, 3], "labels": [1, 2, 3]}


def test_an_alert_depends_on_the_days_since_it_fired_and_the_one_before(project: Project) -> None:
    found = explained(project, "alerts", 5, "feature = 'x'")
    assert [run["dt"] for run in found.earlier_runs if run["stage"] == "drift"] == [day(3), day(4), day(5)]


def test_a_view_is_explained_by_the_tables_below_it(project: Project) -> None:
    assert {run["stage"] for run in explained(project, "latest_drift").runs} == {"drift"}
    assert {run["stage"] for run in explained(project, "quality_history").runs} == {
        "profiles",
        "label_cohorts",
        "model_quality",
    }


def test_learned_rows_depend_on_training_data_alone(project: Project) -> None:
    found = explained(project, "feature_bins", None, "feature = 'x' and bin_id = 0")
    ((fingerprint,),) = project.rows("select dataset_fingerprint from training_runs")
    assert [run["dataset_fingerprint"] for run in found.training] == [fingerprint]
    assert (found.runs, found.files) == ([], [])


SHOWN = {"feature_drift": "feature = 'x' and statistic = 'psi'", "latest_drift": "feature = 'x'"}


@pytest.mark.parametrize(("relation", "condition"), SHOWN.items())
def test_the_query_shows_the_rows_as_they_were_written(tmp_path: Path, relation: str, condition: str) -> None:
    project = Project(tmp_path / "project", drift={"windows_days": [1]})
    path = project.telemetry(1)
    project.run(1, 1, until="drift")
    before = explained(project, relation, 1, condition)
    project.telemetry(1, x=[9.0] * ROWS)
    project.run(1, 1, until="drift")
    after = explained(project, relation, 1, condition)
    assert after.row != before.row
    assert after.files[0]["path"] == before.files[0]["path"] == str(path)
    assert after.files[0]["content_fingerprint"] != before.files[0]["content_fingerprint"]
    assert shown(project, before.query) == before.row


def shown(project: Project, query: str) -> dict[str, Any]:
    with Warehouse.open(project.settings, read_only=True) as warehouse:
        for statement in query.replace(" as lake ", " as past ").replace("use lake", "use past").split(";"):
            rows = warehouse.connection.execute(statement)
        (row,) = rows.to_arrow_table().to_pylist()
        return dict(row)


def test_rows_that_a_refused_day_kept_depend_on_their_original_files(tmp_path: Path) -> None:
    project = Project(tmp_path / "project")
    project.telemetry(1)
    project.run(1, 1, until="profiles")
    before = explained(project, "prediction_profile", 1)
    project.telemetry(1, model_version=None)
    project.run(1, 1, until="profiles")
    assert explained(project, "prediction_profile", 1).files == before.files


def test_text_and_json_name_every_link(project: Project) -> None:
    found = explained(project, "feature_drift", 5, PSI.format(3))
    text = as_text(found, project.settings.config_hash)
    ((fingerprint,),) = project.rows("select dataset_fingerprint from training_runs")
    for part in (
        "written by drift",
        "run                test",
        "(as now)",
        "2024-03-03 to 2024-03-05: 3 files",
        fingerprint,
        "baseline auc       0.9",
        "baseline accuracy  0.8",
    ):
        assert part in text
    assert len(json.loads(as_json(found))["files"]) == 3


def test_an_unknown_table_lists_those_there_are(project: Project) -> None:
    with pytest.raises(WarehouseError, match="no table or view nothing to explain\nhint: one of alerts, "):
        explained(project, "nothing")


def test_a_condition_of_many_rows_or_none_is_refused(project: Project) -> None:
    with pytest.raises(WarehouseError, match="2 rows of .* the first are:\nwindow_days=1\nwindow_days=3\nhint"):
        explained(project, "feature_drift", 5, "feature = 'x' and statistic = 'psi'")
    with pytest.raises(WarehouseError, match="feature_drift has no row on 2024-03-05 that meets"):
        explained(project, "feature_drift", 5, "feature = 'nothing'")
    with pytest.raises(WarehouseError, match="the condition cannot be used: .*colour_of_money"):
        explained(project, "feature_drift", 5, "colour_of_money = 1")


def test_every_table_that_a_stage_replaces_is_declared_with_it(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    replaced: dict[str, set[str]] = {}

    def watch(_warehouse: Warehouse, changes: list[Any], runs: list[Any], **_how: Any) -> None:
        tables = {change.table for change in changes if isinstance(change, Replacement)}
        replaced[runs[0].stage] = tables - {"contract_checks", "schema_changes", "quarantine"}

    monkeypatch.setattr(Warehouse, "replace_partitions", watch)
    project.run(LAST, LAST, is_forced=True)
    assert replaced == {stage.name: {*stage.tables} for stage in DECLARED}
    assert list(STAGES) == [stage.name for stage in DECLARED]


# --- the trail of versions ---


def test_nothing_changes_or_deletes_a_registered_version(tmp_path: Path) -> None:
    project = Project(tmp_path / "project")
    project.telemetry(1)
    project.register("v2")
    with pytest.raises(LineageConflictError):
        project.register("v2", baseline={"auc": 0.1})
    for _ in range(2):
        project.run(1, 1, is_forced=True)
    last = project.rows("select id from ducklake_current_snapshot('lake')")[0][0]
    for table in ("training_runs", "partition_runs", "input_files"):
        deleted = f"select count(*) from ducklake_table_deletions('lake', 'main', '{table}', 0, {last})"
        assert project.rows(deleted) == [(0,)]
    assert project.rows("select model_version from training_runs order by all") == [("v1",), ("v2",)]


def test_rows_are_deleted_only_to_replace_a_day_to_move_them_with_their_bins_or_to_erase_an_id() -> None:
    changing = re.compile(
        r"\b(update \S+ set|delete from|truncate|merge into \w+ using|insert or replace|drop table)\b", re.IGNORECASE
    )
    sources = [*(ROOT / "sql").rglob("*.sql"), *(ROOT / "driftlake").rglob("*.py")]
    found = [(path.name, match) for path in sources for match in changing.findall(path.read_text())]
    # a restored copy changes only the folder of its files in the catalog
    # temporary tables, copies in memory and the row that initialises a table's statistics hold no results
    # learning bins again deletes what was counted in the former ones
    # the catalog's log is truncated, and its rows of expired snapshots are deleted
    assert sorted(found) == [
        ("backup.py", "update ducklake_metadata set"),
        ("catalog.py", "truncate"),
        ("erasure.py", "delete from"),
        ("erasure.py", "delete from"),
        ("erasure.py", "update {quote(name)} set"),
        ("feast_import.py", "delete from"),
        ("feast_import.py", "drop table"),
        ("isolation.py", "drop table"),
        ("maintenance.py", "delete from"),
        ("maintenance.py", "delete from"),
        ("migration.py", "delete from"),
        ("table_copies.py", "drop table"),
        ("table_copies.py", "drop table"),
        ("warehouse.py", "delete from"),
        ("warehouse.py", "delete from"),
    ]


def test_the_trail_names_the_next_version(tmp_path: Path) -> None:
    project = Project(tmp_path / "project")
    project.register("v2", released_at="2024-03-01T00:00:00Z")
    with Warehouse.open(project.settings, read_only=True) as warehouse:
        first, second = warehouse.query("lineage/version_trail").to_pylist()
    assert (first["model_version"], first["followed_by"]) == ("v1", "v2")
    assert first["followed_at"] == second["registered_at"]
    assert second["dataset_registered_at"] == first["registered_at"]
    assert (second["followed_by"], second["released_at"].date()) == (None, date(2024, 3, 1))
