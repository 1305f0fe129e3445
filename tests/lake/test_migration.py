"""A warehouse of an older version is upgraded, or refused before anything is changed."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from data import write_project

from driftlake.config import Settings
from driftlake.errors import WarehouseError
from driftlake.lake import migration, schema
from driftlake.lake.warehouse import Warehouse
from driftlake.setup.doctor import examine


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return write_project(tmp_path / "project", features=["x"], training={"x": [1.0, 2.0]})


def alter(settings: Settings, *statements: str) -> None:
    """Change a warehouse as an older version would have left it."""
    with Warehouse.open(settings) as warehouse:
        for statement in (*statements, "delete from schema_versions"):
            warehouse.connection.execute(statement)


def test_a_view_that_changed_and_a_column_that_is_new_are_brought_up_to_date(settings: Settings) -> None:
    alter(settings, "create or replace view open_alerts as select 1 as old", "alter table alerts drop column runbook")
    with Warehouse.open(settings) as warehouse:
        assert "runbook" in warehouse.sql("from open_alerts").column_names


def test_a_column_that_stored_rows_would_need_is_refused(settings: Settings) -> None:
    alter(settings, "alter table alerts drop column message")
    with pytest.raises(WarehouseError, match="table alerts lacks column message"):
        Warehouse.open(settings)


def test_a_warehouse_that_is_up_to_date_is_left_alone(settings: Settings) -> None:
    with Warehouse.open(settings) as warehouse:
        before = warehouse.sql("from ducklake_current_snapshot('lake')").to_pylist()
    with Warehouse.open(settings) as warehouse:
        assert warehouse.sql("from ducklake_current_snapshot('lake')").to_pylist() == before


WITHOUT_STATISTICS = "delete from __ducklake_metadata_lake.ducklake_table_stats"


def test_tables_have_statistics_before_they_have_rows(settings: Settings) -> None:
    alter(settings, WITHOUT_STATISTICS)
    with Warehouse.open(settings) as warehouse:
        found = warehouse.query("upkeep/tables_with_statistics")["table_name"].to_pylist()
        assert set(found) == {table.name for table in schema.tables()}
        assert [name for name in found if warehouse.sql(f"from {name}").num_rows] == ["schema_versions"]


def test_rows_of_a_table_that_lost_its_statistics_stay(settings: Settings) -> None:
    row = "now(), 'mute', 'rule', 'drift', date '2024-03-01', date '2024-03-02', 'new cut', 'ann'"
    alter(settings, f"insert into alert_actions select {row} from range(20)", WITHOUT_STATISTICS)
    with Warehouse.open(settings) as warehouse:
        assert warehouse.sql("from alert_actions").num_rows == 20


def test_files_recorded_before_there_was_a_history_are_current_until_their_next_version(settings: Settings) -> None:
    recorded = (
        "insert into input_files (dt, source, path, size_bytes, content_fingerprint, outcome)"
        " values ('2024-03-01', 'telemetry', 'a.parquet', 9, 'f', 'read')"
    )
    columns = ("modified_at", "seen_at", "run_id", "snapshot_id")
    alter(settings, recorded, *(f"alter table input_files drop column {name}" for name in columns))
    with Warehouse.open(settings) as warehouse:
        newer = "select * replace ('g' as content_fingerprint, 7 as snapshot_id) from input_files"
        assert warehouse.sql("from current_input_files")["content_fingerprint"].to_pylist() == ["f"]
        warehouse.connection.execute(f"insert into input_files {newer}")
        assert warehouse.sql("from current_input_files")["content_fingerprint"].to_pylist() == ["g"]


def test_a_warehouse_that_a_newer_release_has_upgraded_is_refused_and_left_as_it_is(settings: Settings) -> None:
    newer = len(migration.VERSIONS) + 1
    row = f"select now() as applied_at, 'f' as fingerprint, {newer} as version"
    with Warehouse.open(settings) as warehouse:
        warehouse.connection.execute(f"insert into schema_versions by name {row}")
        left = warehouse.sql("from ducklake_current_snapshot('lake')").to_pylist()
    with pytest.raises(
        WarehouseError, match=f"upgraded the warehouse to version {newer} .*\nhint: install that release"
    ):
        Warehouse.open(settings)
    with Warehouse.open(settings, read_only=True) as warehouse:
        assert warehouse.sql("from ducklake_current_snapshot('lake')").to_pylist() == left


def test_a_warehouse_without_a_version_gets_the_current_one(settings: Settings) -> None:
    alter(settings, "alter table schema_versions drop column version", "alter table alerts drop column runbook")
    with Warehouse.open(settings) as warehouse:
        assert warehouse.sql("from schema_versions")["version"].to_pylist() == [len(migration.VERSIONS)]


def test_the_catalog_is_kept_as_it_was_before_the_tables_change(settings: Settings) -> None:
    alter(settings, "alter table alerts drop column runbook")
    place = Path(settings.resolve("warehouse/catalog.sqlite"))
    Warehouse.open(settings).connection.close()
    shutil.copy(f"{place}.version-0", place)
    with Warehouse.open(settings, read_only=True) as warehouse:
        assert "runbook" not in warehouse.sql("from alerts").column_names


def test_a_change_of_a_column_is_a_new_version_of_the_tables() -> None:
    assert migration.VERSIONS[-1] == migration.shape(), (
        "append the hash of now to VERSIONS in driftlake/lake/migration.py"
    )


KILLED_AFTER_THE_LAST_VIEW = """
    import os, signal, sys
    from pathlib import Path
    from driftlake.config import load_settings
    from driftlake.lake import schema
    from driftlake.lake.warehouse import Warehouse

    views = schema.views_in_order()

    def views_and_death():
        yield from views
        os.kill(os.getpid(), signal.SIGKILL)

    schema.views_in_order = views_and_death
    Warehouse.open(load_settings(Path(sys.argv[1])))
"""


@pytest.mark.processes
def test_a_killed_migration_changes_nothing_and_the_next_one_is_whole(settings: Settings) -> None:
    alter(settings, "alter table alerts drop column runbook")
    command = [sys.executable, "-c", textwrap.dedent(KILLED_AFTER_THE_LAST_VIEW), settings.resolve("driftlake.yaml")]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    with Warehouse.open(settings, read_only=True) as warehouse:
        assert "runbook" not in warehouse.sql("from alerts").column_names
        assert warehouse.sql("from schema_versions").num_rows == 0
    with Warehouse.open(settings) as warehouse:
        assert "runbook" in warehouse.sql("from alerts").column_names


def test_the_doctor_reports_the_versions_and_a_due_upgrade(settings: Settings) -> None:
    def reported() -> str:
        found = {finding.subject: finding for finding in examine(Path(settings.resolve("driftlake.yaml")))}["warehouse"]
        assert found.is_well
        return found.message

    Warehouse.open(settings).connection.close()
    assert f"DuckLake format 1.0, tables of version {len(migration.VERSIONS)}" in reported()
    assert "upgrades" not in reported()
    alter(settings)
    assert "tables of version 0; the next command that writes will upgrade them" in reported()
