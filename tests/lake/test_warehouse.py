"""The DuckLake: partitions are replaced as a whole, and many processes may share it."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
from datetime import UTC, datetime, tzinfo
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from data import day, write_project
from hypothesis import given
from hypothesis import strategies as st
from replaced_days import CONTEXT, profile, replace, stored

from driftlake.config import Settings
from driftlake.errors import WarehouseError
from driftlake.lake import queries
from driftlake.lake.catalog import catalog_of
from driftlake.lake.duckdb_extensions import load_extension
from driftlake.lake.grouping import grouped
from driftlake.lake.warehouse import PartitionRun, Replacement, Warehouse


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return write_project(tmp_path / "project", features=["x"], training={"x": [1.0, 2.0], "score": [0.1, 0.2]})


def test_replacing_a_day_leaves_the_others(settings: Settings) -> None:
    with Warehouse.open(settings) as warehouse:
        for number, rows in ((1, 10), (2, 20), (1, 11)):
            replace(warehouse, number, rows)
        assert stored(warehouse) == [(day(1), 11), (day(2), 20)]


def test_rows_that_nobody_recorded_are_replaced_too(settings: Settings) -> None:
    with Warehouse.open(settings) as warehouse:
        replace(warehouse, 1, 10)
        for number in (1, 2):
            warehouse.append("prediction_profile", profile(number, 5).rows)
        for number in (2, 1):
            replace(warehouse, number, 10)
        assert stored(warehouse) == [(day(1), 10), (day(2), 10)]


def test_partition_runs_names_the_snapshot_that_holds_the_result(settings: Settings) -> None:
    with Warehouse.open(settings) as warehouse:
        replace(warehouse, 1, 10)
        replace(warehouse, 1, 11)
        snapshots = warehouse.sql("select distinct snapshot_id from partition_runs order by 1")[
            "snapshot_id"
        ].to_pylist()
        committed = warehouse.sql(
            "select snapshot_id from ducklake_snapshots('lake') where commit_extra_info = 'run-7' order by 1"
        )
        assert snapshots == committed["snapshot_id"].to_pylist()
        before = warehouse.sql(f"select row_count from prediction_profile at (version => {snapshots[0]})")
        assert before["row_count"].to_pylist() == [10]


def test_the_current_run_follows_snapshots_and_not_the_clock(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    class SetBack(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]  # the base class says Self
            return datetime(2020, 1, 1, tzinfo=tz)

    with Warehouse.open(settings) as warehouse:
        replace(warehouse, 1, 10)
        monkeypatch.setattr("driftlake.lake.warehouse.datetime", SetBack)
        replace(warehouse, 1, 11)
        found = warehouse.sql("select row_count, committed_at from current_runs").to_pylist()
        assert found == [{"row_count": 11, "committed_at": datetime(2020, 1, 1, tzinfo=UTC)}]
        [recorded] = warehouse.query("verification/recorded_rows", days=None).to_pylist()
        [written] = warehouse.query("verification/newest_writes").to_pylist()
        assert recorded["row_count"] == 1
        assert warehouse.sql("select max(snapshot_id) as newest from partition_runs").to_pylist() == [
            {"newest": written["snapshot_id"]}
        ]


@pytest.mark.parametrize("table", ["training_runs", "partition_runs", "input_files"])
def test_rows_of_an_append_only_table_cannot_be_replaced(settings: Settings, table: str) -> None:
    replacement, run = Replacement(table, pa.table({}), [day(1)]), PartitionRun(day(1), "profiles", "complete", 1)
    with Warehouse.open(settings) as warehouse, pytest.raises(ValueError, match=f"{table} is append-only"):
        warehouse.replace_partitions([replacement], [run], context=CONTEXT)


def test_a_failing_insert_changes_nothing(settings: Settings) -> None:
    with Warehouse.open(settings) as warehouse:
        replace(warehouse, 1, 10)
        broken = Replacement("feature_stats", pa.table({"dt": [day(1)]}), [day(1)])
        run = PartitionRun(day(1), "profiles", "complete", 1)
        with pytest.raises(duckdb.Error):
            warehouse.replace_partitions([profile(1, 99), broken], [run], context=CONTEXT)
        assert stored(warehouse) == [(day(1), 10)]


def test_a_reader_without_a_warehouse_is_told_what_to_run(settings: Settings) -> None:
    with pytest.raises(WarehouseError, match="there is no warehouse at .*\nhint: run `driftlake run`"):
        Warehouse.open(settings, read_only=True)


def test_a_reader_cannot_write(settings: Settings) -> None:
    with Warehouse.open(settings) as warehouse:
        replace(warehouse, 1, 10)
    with Warehouse.open(settings, read_only=True) as warehouse, pytest.raises(duckdb.Error, match="read-only"):
        warehouse.sql("delete from prediction_profile")


def test_a_plain_duckdb_client_can_attach(settings: Settings) -> None:
    with Warehouse.open(settings) as warehouse:
        replace(warehouse, 1, 10)
    # a client that loads only signed extensions, DuckDB's default
    with duckdb.connect() as client:
        load_extension(client, "sqlite_scanner")
        load_extension(client, "ducklake")
        client.execute(f"attach 'ducklake:sqlite:{catalog_of(settings).place}' as lake (read_only)")
        assert client.execute("select count(*) from lake.prediction_profile").fetchone() == (1,)


def test_an_extension_that_a_query_loads_must_be_signed(settings: Settings) -> None:
    with Warehouse.open(settings) as warehouse:
        assert warehouse.sql("select current_setting('allow_unsigned_extensions') as is_allowed").to_pylist() == [
            {"is_allowed": False}
        ]
        with pytest.raises(duckdb.Error, match="while database is running"):
            warehouse.sql("set allow_unsigned_extensions = true")


def test_a_query_refuses_missing_and_unused_parameters(db: duckdb.DuckDBPyConnection) -> None:
    with pytest.raises(ValueError, match=r"missing parameters \['last_day'\], unused parameters \['day'\]"):
        queries.run(db, "alerts/alerts", first_day=day(1), day=day(1))


def child(code: str, settings: Settings, *arguments: str) -> subprocess.Popen[str]:
    here = Path(__file__).parent
    prelude = f"""
        import sys
        sys.path[:0] = [{str(here)!r}, {str(here.parent)!r}]
        from pathlib import Path
        from driftlake.config import load_settings
        from driftlake.lake.warehouse import Warehouse
        from data import day
        from replaced_days import replace, stored
        settings = load_settings(Path(sys.argv[1]))
    """
    script = textwrap.dedent(prelude) + textwrap.dedent(code)
    config = str(Path(settings.resolve("driftlake.yaml")))
    return subprocess.Popen(
        [sys.executable, "-c", script, config, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


KILLED_IN_THE_TRANSACTION = """
    with Warehouse.open(settings) as warehouse:
        insert = warehouse.insert
        def insert_and_wait(table, rows):
            insert(table, rows)
            print("inserted", flush=True)
            sys.stdin.read()
        warehouse.insert = insert_and_wait
        replace(warehouse, 1, 99)
"""


@pytest.mark.processes
def test_a_run_killed_before_its_commit_leaves_the_old_rows(settings: Settings) -> None:
    with Warehouse.open(settings) as warehouse:
        replace(warehouse, 1, 10)
    process = child(KILLED_IN_THE_TRANSACTION, settings)
    assert process.stdout is not None
    assert process.stdout.readline() == "inserted\n"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    with Warehouse.open(settings) as warehouse:
        assert stored(warehouse) == [(day(1), 10)]
        replace(warehouse, 1, 12)
        assert stored(warehouse) == [(day(1), 12)]


WRITER = """
    first = int(sys.argv[2])
    for number in range(first, first + 3):
        with Warehouse.open(settings) as warehouse:
            replace(warehouse, number, number)
            replace(warehouse, number, number * 100)
"""
READER = """
    seen = 0
    while seen < 12:
        with Warehouse.open(settings, read_only=True) as warehouse:
            rows = stored(warehouse)
            assert len(rows) >= seen, (len(rows), seen)
            assert all(count in {(dt - day(1)).days + 1, ((dt - day(1)).days + 1) * 100} for dt, count in rows)
            seen = len(rows)
"""


@pytest.mark.processes
def test_four_writers_and_two_readers_lose_nothing_and_see_no_error(settings: Settings) -> None:
    with Warehouse.open(settings):
        pass
    processes = [child(WRITER, settings, str(first)) for first in (1, 4, 7, 10)]
    processes += [child(READER, settings) for _ in range(2)]
    errors = [process.communicate(timeout=120)[1] for process in processes]
    assert [process.returncode for process in processes] == [0] * 6, "\n".join(errors)
    with Warehouse.open(settings, read_only=True) as warehouse:
        assert stored(warehouse) == [(day(number), number * 100) for number in range(1, 13)]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xy")), max_size=12))
def test_every_row_is_in_the_group_of_its_values_in_order(keys: list[tuple[str, str]]) -> None:
    table = pa.table(
        {
            "model_id": pa.array([key[0] for key in keys], pa.string()),
            "model_version": pa.array([key[1] for key in keys], pa.string()),
            "place": range(len(keys)),
        }
    )
    found = {key: rows["place"].to_pylist() for key, rows in grouped(table, ["model_id", "model_version"]).items()}
    assert found == {key: [place for place, each in enumerate(keys) if each == key] for key in set(keys)}
