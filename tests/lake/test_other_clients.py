"""Other clients write to the same lake without driftlake's lock: no run fails, and each records its own snapshot."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread

import duckdb
import pytest
from data import day
from postgres_service import Server
from project import Project

from driftlake.errors import WarehouseError
from driftlake.lake.catalog import catalog_of
from driftlake.lake.duckdb_extensions import load_extension
from driftlake.lake.faults import explained
from driftlake.lake.warehouse import Warehouse

# The current runs whose recorded snapshot is not the one that their commit made.
MISTAKEN = """
    select count(*) from
        (from partition_runs qualify row_number() over (partition by dt, stage order by snapshot_id desc) = 1) as r anti join ducklake_snapshots('lake') as s
    on r.snapshot_id = s.snapshot_id and r.run_id = s.commit_extra_info
"""


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.services)])
def project(request: pytest.FixtureRequest, tmp_path: Path) -> Project:
    catalog = request.getfixturevalue("postgres").database() if request.param == "postgres" else "sqlite:c.sqlite"
    made = Project(tmp_path / "project", warehouse={"catalog": catalog, "data": "warehouse/data"})
    made.telemetry(1)
    return made


def other_client(project: Project) -> duckdb.DuckDBPyConnection:
    """A plain DuckDB with a table of its own in the lake."""
    connection = duckdb.connect()
    catalog = catalog_of(project.settings)
    for name in (catalog.extension, "ducklake"):
        load_extension(connection, name)
    connection.execute(f"attach 'ducklake:{catalog.kind}:{catalog.place}' as lake")
    connection.execute("create table if not exists lake.mine (n integer)")
    return connection


def overtaken(monkeypatch: pytest.MonkeyPatch, times: int, commit: Callable[[], object]) -> None:
    """Let `commit` happen in the middle of the next transactions."""
    next_snapshot, left = Warehouse._next_snapshot, iter(range(times))

    def overtake(warehouse: Warehouse) -> int:
        found = next_snapshot(warehouse)
        if next(left, None) is not None:
            commit()
        return found

    monkeypatch.setattr(Warehouse, "_next_snapshot", overtake)


def test_an_overtaken_commit_is_recorded_under_its_own_snapshot(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    with other_client(project) as other:
        overtaken(monkeypatch, 1, lambda: other.execute("insert into lake.mine values (1)"))
        project.run(1, 1, until="profiles")
    assert project.rows("select sum(row_count)::int from prediction_profile") == [(300,)]
    assert project.rows("select count(distinct run_id), max(row_count) from partition_runs") == [(1, 300)]
    assert project.rows("select count(*) from mine") == [(1,)]
    assert project.rows(MISTAKEN) == [(0,)]


def test_a_conflicting_delete_of_another_client_is_no_failure(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.run(1, 1, until="profiles")
    with other_client(project) as other:
        overtaken(monkeypatch, 1, lambda: other.execute("delete from lake.prediction_profile where true"))
        project.run(1, 1, until="profiles", is_forced=True)
    assert project.rows("select sum(row_count)::int from prediction_profile") == [(300,)]
    assert project.rows(MISTAKEN) == [(0,)]


def test_a_failed_commit_is_reported_and_leaves_the_old_rows(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.run(1, 1, until="profiles")
    before = project.contents("feature_profile")
    monkeypatch.setattr("driftlake.lake.warehouse._PAUSES", ())
    with other_client(project) as other:
        overtaken(monkeypatch, 1, lambda: other.execute("delete from lake.prediction_profile where true"))
        with pytest.raises(WarehouseError, match="failed 1 times because another client changed the same tables"):
            project.run(1, 1, until="profiles", is_forced=True)
    assert project.contents("feature_profile") == before


def test_a_commit_that_the_disk_of_the_server_has_no_space_for_is_no_conflict(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = (
        'TransactionContext Error: Failed to commit: Failed to execute query "INSERT INTO\nducklake_snapshot VALUES (3)":'
        ' ERROR:  could not extend file "base/5/7": No space left on device\nHINT:  Check free disk space.\n'
    )

    def full() -> None:
        raise duckdb.TransactionException(said)

    monkeypatch.setattr("driftlake.lake.warehouse._PAUSES", ())
    with Warehouse.open(project.settings) as warehouse, pytest.raises(duckdb.TransactionException) as caught:
        warehouse._commit(full)
    refusal = explained(caught.value)
    assert refusal is not None
    assert refusal.message == (
        'the disk is full, or a quota or limit is reached (could not extend file "base/5/7": No space left on device)'
    )


def test_a_busy_client_and_a_backfill_do_not_stop_each_other(postgres: Server, tmp_path: Path) -> None:
    catalog = postgres.database()
    project = Project(tmp_path / "project", warehouse={"catalog": catalog, "data": "warehouse/data"})
    for number in range(1, 3):
        project.telemetry(number)
    is_over, said = Event(), []

    def write() -> None:
        with other_client(project) as other:
            while not is_over.wait(0.3):
                try:
                    other.execute("insert into lake.mine values (1)")
                except duckdb.Error as error:
                    said.append(error)

    writer = Thread(target=write)
    writer.start()
    try:
        for number in range(1, 3):
            project.run(number, number, until="profiles")
    finally:
        is_over.set()
        writer.join()
    assert said == []
    assert project.rows("select count(*) > 0 from mine") == [(True,)]
    assert project.rows("select dt, sum(row_count)::int from prediction_profile group by dt order by dt") == [
        (day(1), 300),
        (day(2), 300),
    ]
    assert project.rows(MISTAKEN) == [(0,)]
