"""Keeps the DuckLake small: merges small files, expires old snapshots, deletes files that nothing needs any more.

No row of a result changes. Every step is a transaction of its own under the lock of writers, so runs wait for one table at
most, and after a kill the warehouse is as it was before the step; the next call goes on from there. Files are deleted in a
later call than the one that made them superfluous, when no reader can have them open. DuckLake's rewrite of files with deleted
rows is left out: on a SQLite catalog it fails while rows are stored in the catalog itself. Not here: when this is done
(jobs/maintenance.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from driftlake.config import Settings
from driftlake.warehouse import CATALOG, Warehouse
from driftlake.wording import counted

# A file of this size is read as fast as a larger one, and merging it with a week's small ones would write it again each week.
_LARGEST_MERGED_BYTES = 16_000_000


@dataclass(frozen=True, slots=True)
class WarehouseSize:
    """What the catalog names: a row of sql/upkeep/warehouse_size.sql."""

    current_file_count: int
    file_count: int
    byte_count: int
    snapshot_count: int
    waiting_file_count: int


@dataclass(frozen=True, slots=True)
class Upkeep:
    """What was done, or with `is_dry_run` would be done at most."""

    is_dry_run: bool
    # before this day; None if all snapshots are kept
    expired_before: date | None
    expired_count: int
    merged_file_count: int
    merged_table_count: int
    # that no snapshot has needed since before `deleted_before`
    deleted_count: int
    # that no commit ever named: what killed runs left
    orphan_count: int
    deleted_before: date
    before: WarehouseSize
    after: WarehouseSize


def maintain(warehouse: Warehouse, settings: Settings, *, now: datetime, is_dry_run: bool = False) -> Upkeep:
    """Expire, merge and delete, in this order: what expires need not be merged first."""
    retention_days = settings.warehouse.snapshot_retention_days
    expired_before = _days_before(now, retention_days) if retention_days else None
    deleted_before = _days_before(now, settings.warehouse.file_grace_days)
    before = _size(warehouse)
    expired = (
        _call(warehouse, "ducklake_expire_snapshots", expired_before, is_dry_run=is_dry_run) if expired_before else 0
    )
    merged = [count for count in _merge(warehouse, is_dry_run=is_dry_run) if count]
    deleted = _call(warehouse, "ducklake_cleanup_old_files", deleted_before, is_dry_run=is_dry_run)
    orphans = _call(warehouse, "ducklake_delete_orphaned_files", deleted_before, is_dry_run=is_dry_run)
    return Upkeep(
        is_dry_run,
        expired_before,
        expired,
        sum(merged),
        len(merged),
        deleted,
        orphans,
        deleted_before,
        before,
        _size(warehouse),
    )


def upkeep_lines(upkeep: Upkeep) -> Iterator[str]:
    """What a person reads of it."""
    merged = f"{counted(upkeep.merged_file_count, 'small file')} of {counted(upkeep.merged_table_count, 'table')}"
    kept = "all are kept" if upkeep.expired_before is None else f"older than {upkeep.expired_before}"
    yield f"{'expired':<24} {counted(upkeep.expired_count, 'snapshot')} ({kept})"
    yield f"{'merged':<24} {merged}"
    yield f"{'deleted':<24} {counted(upkeep.deleted_count, 'file')} not needed since before {upkeep.deleted_before}"
    yield f"{'deleted':<24} {counted(upkeep.orphan_count, 'file')} of no commit"
    before, after = upkeep.before, upkeep.after
    yield from (
        f"{name:<24} {was:,} before, {now:,} after"
        for name, was, now in (
            ("files of the newest rows", before.current_file_count, after.current_file_count),
            ("files of all snapshots", before.file_count, after.file_count),
            ("kilobytes of these", before.byte_count // 1000, after.byte_count // 1000),
            ("snapshots", before.snapshot_count, after.snapshot_count),
            ("files to be deleted", before.waiting_file_count, after.waiting_file_count),
        )
    )


def _days_before(now: datetime, days: int) -> date:
    """The day before which something is older than `days`, whatever the hour."""
    return (now.astimezone(UTC) - timedelta(days=days)).date()


def _size(warehouse: Warehouse) -> WarehouseSize:
    [row] = warehouse.query("upkeep/warehouse_size").to_pylist()
    return WarehouseSize(**row)


def _merge(warehouse: Warehouse, *, is_dry_run: bool) -> Iterator[int]:
    """Table by table, the number of small files that became part of a larger one."""
    tables = warehouse.query("upkeep/mergeable_tables", largest_bytes=_LARGEST_MERGED_BYTES).to_pylist()
    for table in tables:
        if is_dry_run:
            yield int(table["file_count"])
            continue
        done = warehouse.change(
            "call ducklake_merge_adjacent_files($lake, $table, max_file_size => $largest)",
            {"lake": CATALOG, "table": table["table_name"], "largest": _LARGEST_MERGED_BYTES},
        )
        yield sum(done["files_processed"].to_pylist())


def _call(warehouse: Warehouse, function: str, before: date, *, is_dry_run: bool) -> int:
    """Rows that a function of DuckLake returns for what is older than a day: snapshots or files.

    A SQLite catalog compares times as text and takes everything of the cutoff's own day for older: the last instant of the day
    before is a cutoff that both kinds of catalog understand alike.
    """
    cutoff = datetime.combine(before, time(), UTC) - timedelta(microseconds=1)
    values: dict[str, Any] = {"lake": CATALOG, "cutoff": cutoff, "dry": is_dry_run}
    return int(warehouse.change(f"call {function}($lake, older_than => $cutoff, dry_run => $dry)", values).num_rows)
