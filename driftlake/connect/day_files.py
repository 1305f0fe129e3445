"""What an import leaves behind: files of days, problems and remarks.

A file that would be the same is left alone, and so is one that would lose rows. Not here: the rows of a day.
"""

from __future__ import annotations

import filecmp
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
from filelock import FileLock

from driftlake.config import ComputeSettings
from driftlake.lake.queries import literal
from driftlake.lake.session import in_memory
from driftlake.vocabulary.wording import counted

# Clocks of machines differ by less.
CLOCK_TOLERANCE_SECONDS = 5 * 60


@dataclass(frozen=True, slots=True)
class WrittenDay:
    """The file of a day with its problems, and with remarks, which are not problems."""

    path: Path
    row_count: int
    is_changed: bool
    problems: Sequence[str] = ()
    remarks: Sequence[str] = ()


@dataclass(slots=True)
class Import:
    """The written files of an import, the refused files and days, and remarks, which are not problems."""

    days: list[WrittenDay] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def add(self, days: Iterable[WrittenDay]) -> None:
        """Add days with their problems and remarks."""
        for day in days:
            self.days.append(day)
            self.problems += [f"{day.path}: {problem}" for problem in day.problems]
            self.remarks += [f"{day.path}: {remark}" for remark in day.remarks]


def replace_day(
    connection: duckdb.DuckDBPyConnection, path: Path, temporary: Path, rows: str, *, key: str, why_lost: str
) -> WrittenDay:
    """Write rows as the file of a day and as the table day_rows, in their order.

    A file that would be the same is left alone, so that its day is not counted again, and so is a file that has rows whose `key` the new rows lack.
    """
    try:
        connection.execute(f"copy ({rows}) to {literal(str(temporary))} (format parquet, compression zstd)")
        connection.execute(f"create or replace temp table day_rows as from read_parquet({literal(str(temporary))})")
        row_count = count(connection, "day_rows")
        if path.exists():
            if filecmp.cmp(path, temporary, shallow=False):
                return WrittenDay(path, row_count, is_changed=False)
            if lost := count(connection, f"read_parquet({literal(str(path))}) anti join day_rows using ({key})"):
                said = f"{counted(lost, 'row')} of it would be lost, because {why_lost}"
                return WrittenDay(path, row_count, is_changed=False, problems=[said])
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.replace(path)
        return WrittenDay(path, row_count, is_changed=True)
    finally:
        temporary.unlink(missing_ok=True)


def count(connection: duckdb.DuckDBPyConnection, relation: str) -> int:
    """The number of rows of a relation."""
    [(row_count,)] = connection.execute(f"select count(*) from {relation}").fetchall()
    return int(row_count)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Two imports into a folder would each leave out what the other adds."""
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"):
        yield


@contextmanager
def spilling_session(compute: ComputeSettings) -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB that spills to a folder of its own what exceeds its memory limit."""
    with TemporaryDirectory(prefix="driftlake-import-") as folder, in_memory(compute) as connection:
        connection.execute(f"set temp_directory = {literal(folder)}")
        yield connection
