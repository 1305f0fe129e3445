"""`driftlake sql` reads the warehouse and neither writes nor reads anything else."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import duckdb
import pytest
from data import write_project

from driftlake.config import Settings
from driftlake.errors import WarehouseError
from driftlake.lake import shell
from driftlake.lake.restricted_sql import restrict
from driftlake.lake.shell import answer
from driftlake.lake.warehouse import Warehouse


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    root = tmp_path_factory.mktemp("restricted")
    settings = write_project(root / "project", features=["x"], training={"x": [1.0]})
    (root / "secret.txt").write_text("secret")
    with closing(sqlite3.connect(root / "other.sqlite")) as other:
        other.execute("create table t as select 1 as a")
        other.commit()
    row = "now(), 'mute', 'rule', 'drift', date '2024-03-01', date '2024-03-02', 'new cut', 'ann'"
    with Warehouse.open(settings) as warehouse:
        warehouse.connection.execute(f"insert into alert_actions select {row} from range(100)")
    return settings


@pytest.fixture(scope="module")
def warehouse(settings: Settings) -> Iterator[Warehouse]:
    with Warehouse.open(settings, read_only=True) as warehouse:
        restrict(warehouse.connection, settings.resolve("warehouse/data"))
        yield warehouse


@pytest.mark.parametrize(
    "query",
    [
        "select count(*) from alert_actions",
        "from alert_actions at (version => 1) limit 1",
        "show tables",
        "describe open_alerts",
        "summarize alert_actions",
        "explain analyze select * from alert_actions",
        "pragma table_info('alerts')",
        "from ducklake_snapshots('lake')",
        "from lake.snapshots()",
        "pivot alert_actions on action in ('mute') using count(*)",
        "from drift_between(date '2024-03-01', date '2024-03-02', date '2024-03-03', date '2024-03-04')",
        "select * from range(3) t(i) order by random()",
    ],
)
def test_a_query_of_the_warehouse_is_answered(warehouse: Warehouse, query: str) -> None:
    answer(warehouse, query)


# {outside} is a folder beside the project, {data} that of the warehouse's files
ATTACKS = {
    "read": "from read_text('{outside}/secret.txt')",
    "climb": "from read_text('{data}/../../../secret.txt')",
    "list": "from glob('{outside}/*')",
    "scan": "from sqlite_scan('{outside}/other.sqlite', 't')",
    "hidden scan": "select * from alerts where exists (from system.main.sqlite_scan('{outside}/other.sqlite', 't'))",
    "scan in a text": "from query('from sqlite_scan(''{outside}/other.sqlite'', ''t'')')",
    "described scan": "describe from sqlite_scan('{outside}/other.sqlite', 't')",
    "attach by call": "call sqlite_attach('{outside}/other.sqlite')",
    "catalog": "from sqlite_scan('{data}/../catalog.sqlite', 'ducklake_snapshot')",
    "write": "copy (select 1) to '{outside}/made.csv'",
    "write into the lake": "copy (select 1) to '{data}/made.csv'",
    "explained write": "explain analyze copy (select 1) to '{data}/made.csv'",
    "commented write": "/* a */ explain -- b\n (analyze) copy (select 1) to '{data}/made.csv'",
    "write behind a commented option": "explain (analyze, format text /*) select 1 --*/) copy (select 42) to '{data}/x.parquet'",
    "write behind nested comments": "/* /* */ explain select 1 -- */ explain analyze copy (select 42) to '{data}/x.csv'",
    "scan behind a quote": "explain analyze (select ') select 1 --' from sqlite_scan('{outside}/other.sqlite', 't'))",
    "prepared write": "prepare p as copy (select 1) to '{data}/made.csv'",
    "second statement": "select 1; copy (select 1) to '{data}/made.csv'",
    "export": "export database '{data}/made'",
    "attach": "attach '{outside}/made.db' as other",
    "attach for writing": "attach 'ducklake:sqlite:{data}/../catalog.sqlite' as again",
    "delete": "delete from alert_actions",
    "delete in the catalog": "delete from __ducklake_metadata_lake.ducklake_snapshot",
    "delete files": "call ducklake_delete_orphaned_files('lake', cleanup_all => true)",
    "delete files in a query": "from ducklake_cleanup_old_files('lake', cleanup_all => true)",
    "install": "install spatial",
    "load": "load '{outside}/made.duckdb_extension'",
    "unlock": "set enable_external_access = true",
    "network": "from read_csv('http://127.0.0.1:9/x.csv')",
    "server": "from postgres_scan('host=127.0.0.1 port=9', 'public', 't')",
    "secret": "create persistent secret s (type s3, key_id 'a', secret 'b')",
}
REFUSALS = "disabled by configuration|may not call|statement of kind|EXPLAIN must stand"


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_a_query_reaches_nothing_else(warehouse: Warehouse, settings: Settings, attack: str) -> None:
    data = Path(settings.resolve("warehouse/data"))
    outside = data.parents[2]
    before = {path: path.read_bytes() for path in outside.rglob("*") if path.is_file()}
    with pytest.raises(WarehouseError, match=REFUSALS):
        answer(warehouse, attack.format(data=data, outside=outside))
    assert {path: path.read_bytes() for path in outside.rglob("*") if path.is_file()} == before


def test_a_variable_of_python_is_not_a_table(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shell, "variable", duckdb.sql("select 1 as a").to_arrow_table(), raising=False)
    with pytest.raises(WarehouseError, match="Table with name variable does not exist"):
        answer(warehouse, "from variable")


def test_a_refusal_names_the_statement_and_the_way_to_run_it(warehouse: Warehouse) -> None:
    with pytest.raises(WarehouseError, match="statement of kind copy.*\nhint: `driftlake sql --unrestricted`"):
        answer(warehouse, "copy (select 1) to 'x.csv'")


def test_a_large_sort_still_spills_to_disk(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with Warehouse.open(settings, read_only=True) as warehouse:
        warehouse.connection.execute("set memory_limit = '40MB'")
        restrict(warehouse.connection, settings.resolve("warehouse/data"))
        query = (
            "select count(*) as n from (select i, hash(i) as h from range(3_000_000) t(i) order by h limit 2_999_999)"
        )
        assert answer(warehouse, query)["n"].to_pylist() == [2_999_999]


def test_an_unrestricted_query_may_write(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from driftlake.cli import app

    copy = f"copy (select 1) to '{tmp_path}/made.csv'"
    command = ["driftlake", "sql", "--unrestricted", copy, "--config", settings.resolve("driftlake.yaml")]
    monkeypatch.setattr(sys, "argv", command)
    with pytest.raises(SystemExit, match="0"):
        app()
    assert (tmp_path / "made.csv").exists()
