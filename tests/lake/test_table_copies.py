"""Copies of small tables in memory: queries find the rows that the lake has.

Not here: how rows are written (test_warehouse.py).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from data import GROUP, day, write_project

from driftlake.config import Settings
from driftlake.lake import schema, table_copies
from driftlake.lake.warehouse import PartitionRun, Replacement, RunContext, Warehouse
from driftlake.nightly.isolation import without_versions

CONTEXT = RunContext("run-7", "0.1", "hash", datetime(2024, 3, 2, tzinfo=UTC))
QUERY = "select dt, row_count from prediction_profile order by dt, row_count"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return write_project(tmp_path / "project", features=["x"], training={"x": [1.0, 2.0], "score": [0.1, 0.2]})


def rows_of(number: int, row_count: int) -> pa.Table:
    return pa.Table.from_pylist([GROUP | {"dt": day(number), "bin_id": 3, "row_count": row_count, "score_sum": 0.0}])


def replace(warehouse: Warehouse, number: int, row_count: int) -> None:
    changes = [Replacement("prediction_profile", rows_of(number, row_count), [day(number)])]
    run = PartitionRun(day(number), "profiles", "complete", row_count)
    warehouse.replace_partitions(changes, [run], context=CONTEXT)


def read(warehouse: Warehouse) -> list[tuple[Any, ...]]:
    with warehouse.one_snapshot():
        return [tuple(row.values()) for row in warehouse.sql(QUERY).to_pylist()]


def is_copied(warehouse: Warehouse) -> bool:
    statement = "select 1 from duckdb_tables() where database_name = 'temp' and table_name = 'prediction_profile'"
    return bool(warehouse.connection.execute(statement).fetchall())


def replace_here(warehouse: Warehouse, _: Settings) -> None:
    replace(warehouse, 1, 11)


def replace_elsewhere(_: Warehouse, settings: Settings) -> None:
    with Warehouse.open(settings) as other:
        replace(other, 1, 11)


def replace_elsewhere_and_here(warehouse: Warehouse, settings: Settings) -> None:
    replace_elsewhere(warehouse, settings)
    replace(warehouse, 2, 21)


def append(warehouse: Warehouse, _: Settings) -> None:
    warehouse.append("prediction_profile", rows_of(3, 30))


def fail_to_commit(warehouse: Warehouse, _: Settings) -> None:
    changes = [Replacement("prediction_profile", rows_of(1, 11), [day(1)]), Replacement("alerts", rows_of(1, 11), [])]
    with pytest.raises(duckdb.Error):
        warehouse.replace_partitions(changes, [PartitionRun(day(1), "profiles", "complete", 1)], context=CONTEXT)


def fail_after_others_have_committed(warehouse: Warehouse, settings: Settings) -> None:
    """The rollback restores the copies that were dropped because another process had committed."""
    replace_elsewhere(warehouse, settings)
    fail_in_a_query(warehouse, settings)


def fail_in_a_query(warehouse: Warehouse, _: Settings) -> None:
    with pytest.raises(duckdb.Error), warehouse.one_snapshot():
        warehouse.sql("select error('a bug') from partition_runs")


def hide_a_version(warehouse: Warehouse, _: Settings) -> None:
    with without_versions(warehouse, [(GROUP["model_id"], GROUP["model_version"])]):
        assert warehouse.sql(QUERY).num_rows == 0


@pytest.mark.parametrize(
    "change",
    [
        replace_here,
        replace_elsewhere,
        replace_elsewhere_and_here,
        append,
        fail_to_commit,
        fail_after_others_have_committed,
        fail_in_a_query,
        hide_a_version,
    ],
)
def test_queries_find_the_rows_of_the_lake_after(
    change: Callable[[Warehouse, Settings], None], settings: Settings
) -> None:
    with Warehouse.open(settings) as warehouse:
        replace(warehouse, 1, 10)
        replace(warehouse, 2, 20)
        assert read(warehouse) == [(day(1), 10), (day(2), 20)]
        assert is_copied(warehouse)
        change(warehouse, settings)
        lake = warehouse.connection.execute(QUERY.replace("from ", "from lake.")).fetchall()
        assert read(warehouse) == lake
        assert read(warehouse) == lake


def test_a_commit_decides_by_the_rows_of_the_lake(settings: Settings) -> None:
    row = rows_of(1, 10)
    with Warehouse.open(settings) as warehouse, Warehouse.open(settings) as other:
        replace(warehouse, 2, 20)
        read(warehouse)
        for each in (other, warehouse):
            each.append_once({"prediction_profile": row}, "prediction_profile", {"dt": str(day(1))})
        assert read(warehouse) == [(day(1), 10), (day(2), 20)]


def test_a_large_table_is_not_copied(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_copies, "_LARGEST_ROW_COUNT", 1)
    with Warehouse.open(settings) as warehouse:
        replace(warehouse, 1, 10)
        replace(warehouse, 2, 20)
        assert read(warehouse) == [(day(1), 10), (day(2), 20)]
        assert not is_copied(warehouse)


def test_a_table_that_becomes_large_is_copied_no_longer(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    with Warehouse.open(settings) as warehouse:
        replace(warehouse, 1, 10)
        read(warehouse)
        monkeypatch.setattr(table_copies, "_LARGEST_ROW_COUNT", 0)
        replace(warehouse, 2, 20)
        assert not is_copied(warehouse)
        assert read(warehouse) == [(day(1), 10), (day(2), 20)]


def test_the_tables_of_a_statement_are_found_through_views() -> None:
    statement = "select * from open_alerts inner join feature_bins using (model_id)"
    assert schema.tables_read(statement) == {"alerts", "partition_runs", "feature_bins"}
