"""The files of a day together: whether they can be read, what identifies them, and which were skipped.

Only footers are read, unless rows turn out to be broken. Not here: finding files (`driftlake.inputs.listing`), a file by
itself (`driftlake.inputs.parquet_files`), and rows (`driftlake.inputs.predictions`,
`driftlake.nightly.label_source`).
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import TypeVar

import duckdb
import pyarrow as pa

from driftlake.errors import ContractError, InputError
from driftlake.inputs.columns import CanonicalColumn
from driftlake.inputs.importable_files import importable_among, is_log_of_feast
from driftlake.inputs.listed_files import Listing, SkippedEntry, listed, named, scheme_of
from driftlake.inputs.listing import list_input
from driftlake.inputs.parquet_files import (
    InputFile,
    first_line,
    open_parquet,
    problems_of,
    read_footer,
    unread_columns_of,
    within,
)
from driftlake.inputs.parquet_sql import layouts_of
from driftlake.inputs.partition_names import columns_of, place_of
from driftlake.lake.duckdb_extensions import connect_with
from driftlake.lake.s3 import S3Session, extensions_to_reach
from driftlake.lake.storage import filesystem_of

Result = TypeVar("Result")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_RESERVED = ("file_row_number", "file_index")


@dataclass(frozen=True, slots=True)
class Partition:
    """The files of one day."""

    dt: date
    files: tuple[InputFile, ...]
    # whether every page was read, because some page of this partition or one used with it was unreadable
    is_probed: bool = False
    skipped: tuple[SkippedEntry, ...] = ()
    # the input that the day is a part of
    location: str = ""

    @property
    def row_count(self) -> int:
        """Rows over all files."""
        return sum(file.row_count for file in self.files)

    @property
    def refusals(self) -> tuple[InputFile, ...]:
        """Files that cannot be used."""
        return tuple(file for file in self.files if file.refusal)

    @property
    def is_usable(self) -> bool:
        """Whether some file can be used; the others are in quarantine, and the day says what share of it was counted."""
        return len(self.refusals) < len(self.files)

    @property
    def skipped_text(self) -> str:
        """The skipped files, for the message about a day without other files; empty if there are none."""
        if not self.skipped:
            return ""
        found = importable_among(entry.path for entry in self.skipped)
        return f"; skipped: {named(self.skipped)}" + (f"; {found.sentence}: {found.hint}" if found else "")

    @property
    def readable(self) -> Partition:
        """The same partition without the files that cannot be used."""
        return replace(self, files=tuple(file for file in self.files if not file.refusal))

    @property
    def refused_share(self) -> float:
        """Share of its rows in unusable files, or of its bytes if the number of rows of such a file is unknown."""

        def share(measure: Callable[[InputFile], int]) -> float:
            size = sum(map(measure, self.files))
            return sum(map(measure, self.refusals)) / size if size else 0.0

        knows_rows = all(file.columns or file.row_count or file.is_repetition for file in self.files)
        return share(lambda file: file.row_count) if knows_rows else share(lambda file: file.size_bytes)

    def refused(self, reason: str) -> Partition:
        """The same partition with every file refused for `reason`, unless it was already refused."""
        return replace(self, files=tuple(file if file.refusal else file.refused(reason) for file in self.files))

    @property
    def fingerprint(self) -> str:
        """Hash over path, content fingerprint, time of modification and refusal of each file.

        The path is relative to the input, so a moved input keeps its hash. The time is included, because a file with
        the same size and footer can have other bytes.
        """
        known = [
            (file.path.removeprefix(self.location), file.content_fingerprint, file.modified_ns, file.refusal)
            for file in self.files
        ]
        return hashlib.sha256(repr(known).encode()).hexdigest()


def days_between(first: date, last: date) -> list[date]:
    """Every day from `first` to `last`, both included."""
    return [first + timedelta(days=offset) for offset in range((last - first).days + 1)]


def read_partitions(
    location: str,
    days: Iterable[date],
    columns: Collection[CanonicalColumn],
    mapping: Mapping[str, str],
    partitioning: str | None = None,
) -> list[Partition]:
    """Inventory of the given days: a missing day is a partition without files, a bad file one that is refused.

    Raises InputError if `location` does not exist, or if none of its folders is recognised as a day. This is not the same
    as a missing day.
    """
    days = list(days)
    return read_listed(list_input(location, partitioning, days), location, days, columns, mapping)


def read_listed(
    listing: Listing,
    location: str,
    days: Iterable[date],
    columns: Collection[CanonicalColumn],
    mapping: Mapping[str, str],
) -> list[Partition]:
    """The same for a place that is already listed."""
    return [_read_day(listing, location, day, columns, mapping) for day in days]


def _read_day(
    listing: Listing, location: str, day: date, columns: Collection[CanonicalColumn], mapping: Mapping[str, str]
) -> Partition:
    found = listing.files_of(day)
    files = tuple(within(location, read_footer(file, day)) for file in found.files)
    partition = Partition(day, files, skipped=tuple(found.skipped), location=location)
    if deletes := [file.path for file in files if file.is_position_deletes]:
        return partition.refused(
            f"{deletes[0]} lists deleted rows of an Iceberg table, and {location} has no metadata of the table"
        )
    return check_columns(partition, columns, mapping)


def modified_at(modified_ns: int | None) -> datetime | None:
    """A time of modification as stored in input_files: to the microsecond."""
    return None if modified_ns is None else _EPOCH + timedelta(microseconds=modified_ns // 1000)


def read_file(location: str, day: date) -> InputFile:
    """A single file as a file of a day, in any folder. Raises InputError if it is not there."""
    filesystem, path = filesystem_of(location)
    entry = filesystem.get_file_info(path)
    if not entry.is_file:
        raise InputError(f"there is no file {location}", hint="give Parquet files; `driftlake run` reads folders")
    values = columns_of(place_of(path.split("/")[:-1]))
    return read_footer(listed(entry, scheme_of(location), values), day)


def earlier_partitions(
    location: str,
    partitions: Iterable[Partition],
    first_day: date,
    columns: Collection[CanonicalColumn],
    mapping: Mapping[str, str],
    partitioning: str | None = None,
) -> dict[date, Partition]:
    """For each partition, the last earlier one from `first_day` on that has rows and can be used, if there is one."""
    known = {partition.dt: partition for partition in partitions}
    listing = list_input(location, partitioning)
    days = [day for day in listing.days if day >= first_day]
    earlier = {}
    for asked in list(known):
        for day in reversed(days[: bisect_left(days, asked)]):
            if day not in known:
                known[day] = _read_day(listing, location, day, columns, mapping)
            if known[day].is_usable and known[day].row_count:
                earlier[asked] = known[day]
                break
    return earlier


def check_columns(partition: Partition, columns: Collection[CanonicalColumn], mapping: Mapping[str, str]) -> Partition:
    """Refuse the files of a partition that lack a column or have it in a type that is not expected."""
    return replace(partition, files=tuple(_check_columns(file, columns, mapping) for file in partition.files))


def probe(partition: Partition) -> Partition:
    """Read every page of a partition's files, in Arrow and in DuckDB, and refuse those that fail.

    A footer can be intact although pages are broken, and one of the two can read files that the other cannot.
    """
    paths = [file.path for file in partition.files]
    with connect_with(extensions_to_reach(paths)) as connection:
        connection.execute("set threads = 1")
        S3Session(connection, paths)
        files = tuple(_probe_file(connection, file) for file in partition.files)
    return replace(partition, files=files, is_probed=True)


def without_corrupt_files(
    partitions: Sequence[Partition],
    use: Callable[[Sequence[Partition]], Result],
    judge: Callable[[Partition], Partition] = lambda partition: partition,
) -> tuple[list[Partition], Result]:
    """`use` the readable files of the partitions; if that fails, leave out the files with broken pages and try again.

    `judge` may refuse a partition as a whole because of the files that it lacks.
    """
    judged = [judge(partition) for partition in partitions]
    try:
        return judged, use(readable(judged))
    except (duckdb.Error, pa.ArrowException, OSError, ContractError):
        probed = [judge(probe(partition)) for partition in partitions]
        if _refusal_count(probed) == _refusal_count(judged):
            raise
        return probed, use(readable(probed))


def readable(partitions: Sequence[Partition]) -> list[Partition]:
    """The readable parts of those partitions that have any."""
    return [partition.readable for partition in partitions if partition.is_usable]


def _refusal_count(partitions: Sequence[Partition]) -> int:
    return sum(len(partition.refusals) for partition in partitions)


def chunks(partitions: Sequence[Partition], rows_per_chunk: int) -> list[list[Partition]]:
    """Groups of consecutive days, each of at most `rows_per_chunk` rows or a single day."""
    groups: list[list[Partition]] = []
    rows = 0
    for partition in partitions:
        follows = groups and partition.dt - groups[-1][-1].dt == timedelta(days=1)
        if not follows or rows + partition.row_count > rows_per_chunk:
            groups.append([])
            rows = 0
        groups[-1].append(partition)
        rows += partition.row_count
    return groups


def _check_columns(file: InputFile, columns: Collection[CanonicalColumn], mapping: Mapping[str, str]) -> InputFile:
    if file.refusal:
        return file
    problems = problems_of(file, columns, mapping)
    problems += [
        f"has a column {name}, a name that is reserved by DuckDB" for name in file.columns if name.lower() in _RESERVED
    ]
    if problems:
        if is_log_of_feast(file.columns):
            problems.append("it is a log of a Feast feature service, which `driftlake import feast` reads")
        return file.refused(f"{file.path} {'; '.join(problems)}")
    return replace(file, unread_columns=unread_columns_of(file, columns, mapping))


def _probe_file(connection: duckdb.DuckDBPyConnection, file: InputFile) -> InputFile:
    if file.refusal:
        return file
    columns = [name for name in file.countable_columns if name not in file.values]
    try:
        with open_parquet(file.path) as parquet:
            for group in range(parquet.num_row_groups):
                for column in columns:
                    parquet.read_row_group(group, columns=[column])
        [layout] = layouts_of([file])
        read = ", ".join(str(layout.column(name)) for name in columns)
        connection.execute(f"select bit_xor(hash({read})) from {layout.source()}").fetchall()
    except (pa.ArrowException, OSError) as error:
        return file.refused(f"{file.path} is corrupt ({first_line(error)})")
    except duckdb.Error as error:
        return file.refused(f"{file.path} cannot be read by DuckDB ({first_line(error)})")
    return file
