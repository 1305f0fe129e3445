"""What earlier runs did, from partition_runs: the newest run of each day and stage is in force.

Not here: recording runs (warehouse.py).
"""

from __future__ import annotations

from datetime import date
from typing import Any

from driftlake.errors import WarehouseError
from driftlake.warehouse import Warehouse


def newest_day(warehouse: Warehouse) -> date:
    """The last day that had telemetry, good or bad. Raises WarehouseError if there is none."""
    day = warehouse.sql("select dt from newest_day")["dt"][0].as_py()
    if day is None:
        raise WarehouseError(
            "no day has been processed yet", hint="run `driftlake run --date D` or `driftlake backfill` first"
        )
    return date.fromisoformat(str(day))


def was_processed(warehouse: Warehouse, day: date) -> bool:
    """Whether the alerts of a day were ever evaluated."""
    return bool(warehouse.sql("select 1 from partition_runs where dt = ? and stage = 'alerts' limit 1", [day]).num_rows)


def refused_by(warehouse: Warehouse, run_id: str) -> list[dict[str, Any]]:
    """Days whose input a run refused, in whole or in part: dt, stage, outcome, reason."""
    rows: list[dict[str, Any]] = warehouse.sql(
        "select dt, stage, outcome, reason from partition_runs"
        " where run_id = ? and outcome in ('refused', 'partial') order by dt, stage",
        [run_id],
    ).to_pylist()
    return rows


def refused_profiles(warehouse: Warehouse) -> list[dict[str, Any]]:
    """Days whose telemetry was refused when it was last read: dt, reason."""
    rows: list[dict[str, Any]] = warehouse.sql(
        "select dt, reason from current_runs where stage = 'profiles' and outcome = 'refused'"
    ).to_pylist()
    return rows
