"""Maintenance of the DuckLake: compacting small files, expiring old snapshots, deleting files that no snapshot needs.

No row of a result changes. Every step is a transaction of its own under the lock of writers, so a run waits for one table at
most. If the process is killed, the warehouse is as it was before the step, and the next call continues from there. A file is
deleted in a later call than the one that superseded it, when no reader can have it open.

Small files are compacted by an ordinary transaction that inserts their rows again and deletes the old ones. DuckLake's own
functions (ducklake_merge_adjacent_files, ducklake_rewrite_data_files, ducklake_flush_inlined_data) change the catalog's
records of earlier snapshots. A read on a SQLite catalog is several queries and not one snapshot of it, so a read beside them
can combine the old list of files with the new list of deleted rows: see docs/decisions/0009-compaction-by-transactions.md.
Not here: when this is done (`jobs.maintenance`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from typing import Any

from driftlake.config import Settings
from driftlake.lake import schema
from driftlake.lake.catalog import Catalog
from driftlake.lake.queries import quote
from driftlake.lake.warehouse import CATALOG, Warehouse
from driftlake.vocabulary.wording import counted

# A file of this size is read as fast as a larger one.
_LARGEST_COMPACTED_BYTES = 16_000_000


@dataclass(frozen=True, slots=True)
class WarehouseSize:
    """The size of the warehouse according to its catalog: a row of sql/upkeep/warehouse_size.sql."""

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
    compacted_file_count: int
    compacted_table_count: int
    # files that no snapshot has needed since before `deleted_before`
    deleted_count: int
    # files that no commit ever named, left by runs that were killed
    orphan_count: int
    deleted_before: date
    before: WarehouseSize
    after: WarehouseSize


def maintain(warehouse: Warehouse, settings: Settings, *, now: datetime, is_dry_run: bool = False) -> Upkeep:
    """Expire, compact and delete, in this order."""
    retention_days = settings.warehouse.snapshot_retention_days
    expired_before = _days_before(now, retention_days) if retention_days else None
    deleted_before = _days_before(now, settings.warehouse.file_grace_days)
    before = _size(warehouse)
    expired = (
        _call(warehouse, "ducklake_expire_snapshots", expired_before, is_dry_run=is_dry_run) if expired_before else 0
    )
    if expired and not is_dry_run:
        _delete_inlined(warehouse)
    compacted = _compact(warehouse, is_dry_run=is_dry_run)
    deleted = _call(warehouse, "ducklake_cleanup_old_files", deleted_before, is_dry_run=is_dry_run)
    orphans = _call(warehouse, "ducklake_delete_orphaned_files", deleted_before, is_dry_run=is_dry_run)
    return Upkeep(
        is_dry_run,
        expired_before,
        expired,
        sum(compacted.values()),
        len(compacted),
        deleted,
        orphans,
        deleted_before,
        before,
        _size(warehouse),
    )


def forget_history(warehouse: Warehouse, catalog: Catalog) -> int:
    """Expire every snapshot but the newest, and delete the rows and files that only they need, without days of grace.

    A query that is running now can fail. Returns the number of deleted files.
    """
    values = {"lake": CATALOG, "now": datetime.now(UTC)}
    expire = "call ducklake_expire_snapshots($lake, older_than => $now)"
    warehouse.write(lambda: warehouse.connection.execute(expire, values).fetchall())
    _delete_inlined(warehouse)
    delete = "call ducklake_cleanup_old_files($lake, cleanup_all => true)"
    deleted = warehouse.write(lambda: len(warehouse.connection.execute(delete, {"lake": CATALOG}).fetchall()))
    catalog.overwrite_deleted()
    return deleted


def upkeep_lines(upkeep: Upkeep) -> Iterator[str]:
    """The lines that are printed for people."""
    files = f"{counted(upkeep.compacted_file_count, 'small file')} of {counted(upkeep.compacted_table_count, 'table')}"
    kept = "all are kept" if upkeep.expired_before is None else f"older than {upkeep.expired_before}"
    yield f"{'expired':<24} {counted(upkeep.expired_count, 'snapshot')} ({kept})"
    yield f"{'compacted':<24} {files}"
    yield f"{'deleted':<24} {counted(upkeep.deleted_count, 'file')} superseded before {upkeep.deleted_before}"
    orphans = counted(upkeep.orphan_count, "file")
    yield f"{'deleted':<24} {orphans} that {'belongs' if upkeep.orphan_count == 1 else 'belong'} to no commit"
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


def _delete_inlined(warehouse: Warehouse) -> None:
    """Delete rows from the catalog that only expired snapshots had.

    DuckLake keeps the rows of small inserts in the catalog, and leaves them there when their snapshots expire.
    """

    def work() -> None:
        for name in warehouse.query("upkeep/inlined_tables")["table_name"].to_pylist():
            warehouse.connection.execute(
                f"delete from __ducklake_metadata_lake.{quote(name)} where end_snapshot <="
                " (select min(snapshot_id) from __ducklake_metadata_lake.ducklake_snapshot)"
            )

    warehouse.write(work)


def _days_before(now: datetime, days: int) -> date:
    """The day before which everything is older than `days`, whatever the hour."""
    return (now.astimezone(UTC) - timedelta(days=days)).date()


def _size(warehouse: Warehouse) -> WarehouseSize:
    [row] = warehouse.query("upkeep/warehouse_size").to_pylist()
    return WarehouseSize(**row)


def _compact(warehouse: Warehouse, *, is_dry_run: bool) -> dict[str, int]:
    """Compact one table after another and return the number of small files that were merged; tables of other clients are left alone."""
    keys = {table.name: table.key for table in schema.tables()}

    def small_files() -> dict[str, list[str]]:
        found = warehouse.query("upkeep/small_files", largest_bytes=_LARGEST_COMPACTED_BYTES).to_pylist()
        return {row["table_name"]: row["file_names"] for row in found if row["table_name"] in keys}

    def compact(table: str) -> int:
        # listed again under the lock: a run may have replaced days since
        return _rewrite(warehouse, table, keys[table], small_files().get(table, []))

    if is_dry_run:
        return {table: len(names) for table, names in small_files().items()}
    counts = {table: warehouse.write(partial(compact, table)) for table in small_files()}
    return {table: count for table, count in counts.items() if count}


def _rewrite(warehouse: Warehouse, table: str, key: Sequence[str], file_names: Sequence[str]) -> int:
    """Insert the rows of some files again, in the order of the table's key, and delete the old ones. Returns how many."""
    name, order, values = quote(table), ", ".join(map(quote, key)), {"names": file_names}
    is_old = "list_contains($names, parse_filename(filename))"
    if file_names:
        warehouse.connection.execute(f"insert into {name} from {name} where {is_old} order by {order}", values)
        warehouse.connection.execute(f"delete from {name} where {is_old}", values)
    return len(file_names)


def _call(warehouse: Warehouse, function: str, before: date, *, is_dry_run: bool) -> int:
    """The rows that a function of DuckLake returns for snapshots or files older than a day.

    A SQLite catalog compares times as text and treats everything of the cutoff's own day as older. The last instant of
    the day before is a cutoff with the same meaning in both kinds of catalog.
    """
    cutoff = datetime.combine(before, time(), UTC) - timedelta(microseconds=1)
    values: dict[str, Any] = {"lake": CATALOG, "cutoff": cutoff, "dry": is_dry_run}
    statement = f"call {function}($lake, older_than => $cutoff, dry_run => $dry)"
    return warehouse.write(lambda: len(warehouse.connection.execute(statement, values).fetchall()))
