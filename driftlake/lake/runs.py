"""What earlier runs did, according to partition_runs; the newest run of each day and stage is in force.

Not here: recording runs (`driftlake.lake.warehouse`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from driftlake.errors import WarehouseError
from driftlake.lake.warehouse import PartitionRun, Warehouse

# Outcomes that mean that part of the input of a day was not counted.
INCOMPLETE = ("refused", "partial", "failed")


def newest_day(warehouse: Warehouse) -> date:
    """The last day that had telemetry, even if it was refused. Raises WarehouseError if there is none."""
    day = warehouse.sql("select dt from newest_day")["dt"][0].as_py()
    if day is None:
        raise WarehouseError(
            "no day has been processed yet", hint="run `driftlake run --date D` or `driftlake backfill` first"
        )
    return date.fromisoformat(str(day))


def was_processed(warehouse: Warehouse, day: date) -> bool:
    """Whether the alerts of a day have been evaluated."""
    return bool(warehouse.sql("select 1 from partition_runs where dt = ? and stage = 'alerts' limit 1", [day]).num_rows)


def was_checked_by(warehouse: Warehouse, day: date, run_id: str) -> bool:
    """Whether a run checked the inputs of a day; it does not if the day is unchanged."""
    found = warehouse.sql(
        "select 1 from current_runs where dt = ? and stage in ('profiles', 'label_cohorts') and run_id = ? limit 1",
        [day, run_id],
    )
    return bool(found.num_rows)


def in_force(warehouse: Warehouse, stage: str, days: Sequence[date]) -> dict[date, PartitionRun]:
    """The run in force of each of the days on which the stage ever ran."""
    rows = warehouse.sql(
        "select dt, stage, outcome, row_count, reason, input_fingerprint from current_runs"
        " where stage = ? and list_contains(?::date[], dt)",
        [stage, list(days)],
    ).to_pylist()
    return {row["dt"]: PartitionRun(**row) for row in rows}


def commits_read(
    warehouse: Warehouse, reaches: Mapping[str, int], days: Sequence[date]
) -> dict[tuple[str, date], tuple[int, int | None]]:
    """For each stage of `reaches` and each day, the number of commits of the stage within so many days before it, and the newest.

    Commits rather than fingerprints, because a refused day keeps older rows, which its newest fingerprint does not
    cover.
    """
    if not reaches:
        return {}
    rows = warehouse.query(
        "nightly/commits_read", stages=list(reaches), reaches_days=list(reaches.values()), days=list(days)
    )
    return {(row["stage"], row["dt"]): (row["commit_count"], row["newest_snapshot_id"]) for row in rows.to_pylist()}


def incomplete_between(warehouse: Warehouse, first_day: date, last_day: date) -> list[dict[str, Any]]:
    """Days that a stage did not count completely when it last processed them: dt, stage, outcome, reason."""
    rows: list[dict[str, Any]] = warehouse.sql(
        "select dt, stage, outcome, reason from current_runs"
        " where dt between ? and ? and list_contains(?, outcome) order by dt, stage",
        [first_day, last_day, list(INCOMPLETE)],
    ).to_pylist()
    return rows


def uncounted_profiles(warehouse: Warehouse) -> list[dict[str, Any]]:
    """Days whose telemetry was not counted when it was last read, refused or failed: dt, reason."""
    rows: list[dict[str, Any]] = warehouse.sql(
        "select dt, reason from current_runs where stage = 'profiles' and outcome in ('refused', 'failed')"
    ).to_pylist()
    return rows
