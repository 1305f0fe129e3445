"""A day that is replaced in the warehouse, and the rows stored then. Processes that tests start import this too.

Not here: what happens to them (test_warehouse.py).
"""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa
from data import GROUP, day

from driftlake.lake.warehouse import PartitionRun, Replacement, RunContext, Warehouse

CONTEXT = RunContext("run-7", "0.1", "hash", datetime(2024, 3, 2, tzinfo=UTC))


def profile(number: int, rows: int) -> Replacement:
    table = pa.Table.from_pylist([GROUP | {"dt": day(number), "bin_id": 3, "row_count": rows, "score_sum": 0.0}])
    return Replacement("prediction_profile", table, [day(number)])


def replace(warehouse: Warehouse, number: int, rows: int) -> None:
    run = PartitionRun(day(number), "profiles", "complete", rows)
    warehouse.replace_partitions([profile(number, rows)], [run], context=CONTEXT)


def stored(warehouse: Warehouse) -> list[tuple[object, ...]]:
    return warehouse.connection.execute("select dt, row_count from prediction_profile order by dt").fetchall()
