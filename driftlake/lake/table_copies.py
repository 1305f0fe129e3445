"""Copies of small tables in memory, which hold the rows of one snapshot.

DuckLake asks its catalog for the files of a table whenever a query reads the table. That takes 3 to 7 ms of processor time,
whatever the table holds, and a night reads some tables fifteen times. A temporary table hides the table of the lake with
the same name, in views too, so queries are the same with copies and without.
Not here: when a snapshot is read and when one is committed (`driftlake.lake.warehouse`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import duckdb

from driftlake.lake import queries, schema

# A copy costs 0.3 ms for each data file, and a millisecond for each thousand rows.
_LARGEST_ROW_COUNT = 10_000
_MOST_FILES = 16
# Few rows may have long lists.
_MOST_BYTES = 5_000_000


@dataclass(frozen=True, slots=True)
class TableStatistics:
    """What DuckLake's statistics say of a table. They still count rows that were deleted since."""

    row_count: int
    file_count: int
    byte_count: int
    had_rows: bool
    # the newest day that the table ever held; None if it has no days, or never had rows
    newest_day: date | None

    @property
    def is_small(self) -> bool:
        """Whether a copy takes less time than a few reads."""
        return (
            self.row_count <= _LARGEST_ROW_COUNT and self.file_count <= _MOST_FILES and self.byte_count <= _MOST_BYTES
        )

    def may_hold(self, days: Sequence[date]) -> bool:
        """Whether the table may have rows of some days."""
        is_newer = self.newest_day is not None and min(days, default=date.max) > self.newest_day
        return self.had_rows and not is_newer


class TableCopies:
    """The copies of a connection. They are valid while the newest snapshot is `snapshot_id`."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, catalog: str) -> None:
        self._connection = connection
        self._catalog = catalog
        self._copied: set[str] = set()
        # a rollback restores copies that were dropped in its transaction
        self._may_exist: set[str] = set()
        self._statistics: tuple[int | None, Mapping[str, TableStatistics]] = (None, {})
        self.snapshot_id: int | None = None

    @property
    def statistics(self) -> Mapping[str, TableStatistics]:
        """The statistics of the tables in this snapshot, by name."""
        if self._statistics[0] != self.snapshot_id:
            rows = queries.table(self._connection, "upkeep/table_statistics").to_pylist()
            self._statistics = (self.snapshot_id, {row.pop("table_name"): TableStatistics(**row) for row in rows})
        return self._statistics[1]

    def follow(self, snapshot_id: int) -> None:
        """Drop the copies if they are of another snapshot."""
        if snapshot_id != self.snapshot_id:
            for name in list(self._copied):
                self._drop(name)
            self.snapshot_id = snapshot_id

    def keeps(self, name: str, new_row_count: int) -> bool:
        """Whether there is a copy of a table that gets new rows; if they are many, it is dropped."""
        if name in self._copied and new_row_count > _LARGEST_ROW_COUNT:
            self._drop(name)
        return name in self._copied

    def make(self, statement: str) -> None:
        """Copy the small tables that a statement reads."""
        for name in sorted(schema.tables_read(statement) - self._copied):
            known = self.statistics.get(name)
            if known and known.is_small:
                quoted = queries.quote(name)
                # an empty table of the lake takes as long to read as a small one
                rows = f"as from {self._catalog}.{quoted}" if known.had_rows else f"({schema.columns_ddl(name)})"
                self._connection.execute(f"create temp table {quoted} {rows}")
                self._copied.add(name)
                self._may_exist.add(name)

    def drop_all(self) -> None:
        """Drop every copy, and those that a rollback has restored."""
        self._copied.clear()
        self.snapshot_id = None
        while self._may_exist:
            self._connection.execute(f"drop table if exists temp.{queries.quote(self._may_exist.pop())}")

    def _drop(self, name: str) -> None:
        self._connection.execute(f"drop table temp.{queries.quote(name)}")
        self._copied.remove(name)
