"""The partitioned Parquet that users hand over: which files a day has, whether they can be read, what identifies them.

Only footers are read, unless rows turn out to be broken. Not here: rows (`driftlake.inputs.predictions`, `driftlake.nightly.label_source`).
"""

from __future__ import annotations

import hashlib
import os
import struct
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TypeVar

import duckdb
import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from driftlake.errors import ContractError, InputError
from driftlake.inputs.columns import CanonicalColumn
from driftlake.inputs.parquet_sql import layouts_of
from driftlake.lake.s3 import S3Session
from driftlake.lake.storage import filesystem_of, is_hidden

Result = TypeVar("Result")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_MAGIC = b"PAR1"
_RESERVED = ("file_row_number", "file_index")
_TAIL_BYTES = 8  # footer length (4 bytes, little endian) and the magic

# What files may be. No file of predictions or labels comes near; one beyond takes the memory or the hours of all others.
# A column costs a millisecond in each comparison of schemas, and whoever has so many features keeps them in one column.
_MOST_COLUMNS = 10_000
# Ids alone, consecutive and compressed, take more than a tenth of a byte; rows of one id are all kept to find repetitions.
_MOST_ROWS_PER_BYTE = 10
_FEW_ROWS = 10_000_000
# Cells are held by the row group: at this size a thousand are a gigabyte. A single larger one among small ones is read.
LARGEST_CELL_BYTES = 1_000_000
# A row group, or a column of one, that is no larger cannot hold cells worth looking for.
_SMALL_BYTES = 16_000_000
_PAGE_HEADER_BYTES = 64
_THRIFT_I32, _THRIFT_STRUCT, _THRIFT_CHECKSUM = 5, 12, 4


@dataclass(frozen=True, slots=True)
class InputFile:
    """A Parquet file of a partition; `refusal` says why it cannot be used."""

    dt: date
    path: str
    size_bytes: int
    row_count: int
    columns: Mapping[str, pa.DataType]
    schema_fingerprint: str | None
    content_fingerprint: str
    modified_ns: int | None = None
    row_group_sizes: tuple[int, ...] = ()
    refusal: str | None = None
    # bytes of a cell of the columns whose cells are too large to be read, struct.field for a field
    oversized: Mapping[str, int] = field(default_factory=dict)
    # whether its rows repeat each other so much that they are no share of a day
    is_repetition: bool = False

    @property
    def countable_columns(self) -> Mapping[str, pa.DataType]:
        """The columns that may be read."""
        if not self.oversized:
            return self.columns
        kept = {name: kind for name, kind in self.columns.items() if not self.cell_bytes(name)}
        structs = {name: kind for name, kind in self.columns.items() if isinstance(kind, pa.StructType)}
        return kept | {
            name: pa.struct([field for field in kind if not self.cell_bytes(f"{name}.{field.name}")])
            for name, kind in structs.items()
        }

    def cell_bytes(self, path: str) -> int:
        """Bytes of a cell of a column, or of a field of a struct column by its path, that is too large; else 0."""
        # what a list holds has the path of the list before its own
        return max((size for place, size in self.oversized.items() if f"{place}.".startswith(f"{path}.")), default=0)

    def refused(self, reason: str) -> InputFile:
        """The same file, refused for `reason`."""
        return replace(self, refusal=reason)


@dataclass(frozen=True, slots=True)
class Partition:
    """The files of one day."""

    dt: date
    files: tuple[InputFile, ...]
    # whether every page was read because some could not be, here or in a partition used together with this one
    is_probed: bool = False

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
    def readable(self) -> Partition:
        """The same partition without the files that cannot be used."""
        return replace(self, files=tuple(file for file in self.files if not file.refusal))

    @property
    def refused_share(self) -> float:
        """Share of its rows in files that cannot be used, or of its bytes if some of them cannot say how many rows they have."""

        def share(measure: Callable[[InputFile], int]) -> float:
            size = sum(map(measure, self.files))
            return sum(map(measure, self.refusals)) / size if size else 0.0

        knows_rows = all(file.columns or file.row_count or file.is_repetition for file in self.files)
        return share(lambda file: file.row_count) if knows_rows else share(lambda file: file.size_bytes)

    def refused(self, reason: str) -> Partition:
        """The same partition, every file of it refused for `reason`, unless it was for another already."""
        return replace(self, files=tuple(file if file.refusal else file.refused(reason) for file in self.files))

    @property
    def fingerprint(self) -> str:
        """Hash over path, content fingerprint, time of modification and refusal of each file.

        The time, because other bytes can stand under the same size and footer.
        """
        known = [(file.path, file.content_fingerprint, file.modified_ns, file.refusal) for file in self.files]
        return hashlib.sha256(repr(known).encode()).hexdigest()


def days_between(first: date, last: date) -> list[date]:
    """Every day from `first` to `last`, both included."""
    return [first + timedelta(days=offset) for offset in range((last - first).days + 1)]


def list_days(location: str) -> list[date]:
    """Days that have a dt=YYYY-MM-DD folder under `location`, in order."""
    filesystem, root = filesystem_of(location)
    names = (entry.base_name for entry in filesystem.get_file_info(pafs.FileSelector(root, allow_not_found=True)))
    return sorted(date.fromisoformat(name.removeprefix("dt=")) for name in names if _is_day_folder(name))


def read_partitions(
    location: str, days: Iterable[date], columns: Collection[CanonicalColumn], mapping: Mapping[str, str]
) -> list[Partition]:
    """Inventory of the given days: a missing day is a partition without files, a bad file one that is refused.

    Raises InputError if `location` is not there at all: that is no missing day.
    """
    filesystem, root = filesystem_of(location)
    if filesystem.get_file_info(root).type == pafs.FileType.NotFound:
        raise InputError(f"there is no folder {location}", hint="correct the path, or mount the file system")
    prefix = _scheme(location)
    partitions = []
    for day in days:
        entries = _entries(filesystem, root, day)
        files = (_within(root, _read_footer(filesystem, entry, day, prefix)) for entry in entries)
        partitions.append(check_columns(Partition(day, tuple(files)), columns, mapping))
    return partitions


@dataclass(frozen=True, slots=True)
class ListedFile:
    """A file of a day as its folder lists it."""

    path: str
    size_bytes: int
    modified_ns: int | None


def list_files(location: str, day: date) -> list[ListedFile]:
    """The files that `read_partitions` would read of a day, unopened."""
    filesystem, root = filesystem_of(location)
    prefix = _scheme(location)
    return [ListedFile(prefix + entry.path, entry.size, entry.mtime_ns) for entry in _entries(filesystem, root, day)]


def modified_at(modified_ns: int | None) -> datetime | None:
    """A time of modification as input_files has it: to the microsecond."""
    return None if modified_ns is None else _EPOCH + timedelta(microseconds=modified_ns // 1000)


def read_file(location: str, day: date) -> InputFile:
    """A single file as one of a day, whatever folder it is in. Raises InputError if it is not there."""
    filesystem, path = filesystem_of(location)
    entry = filesystem.get_file_info(path)
    if not entry.is_file:
        raise InputError(f"there is no file {location}", hint="give Parquet files; `driftlake run` reads folders")
    return _read_footer(filesystem, entry, day, f"{location.split('://', 1)[0]}://" if "://" in location else "")


def earlier_partitions(
    location: str,
    partitions: Iterable[Partition],
    first_day: date,
    columns: Collection[CanonicalColumn],
    mapping: Mapping[str, str],
) -> dict[date, Partition]:
    """The last partition before each, from `first_day` on, that has rows and can be used; where there is none, no entry."""
    known = {partition.dt: partition for partition in partitions}
    days = [day for day in list_days(location) if day >= first_day]
    earlier = {}
    for asked in list(known):
        for day in reversed(days[: bisect_left(days, asked)]):
            if day not in known:
                (known[day],) = read_partitions(location, [day], columns, mapping)
            if known[day].is_usable and known[day].row_count:
                earlier[asked] = known[day]
                break
    return earlier


def check_columns(partition: Partition, columns: Collection[CanonicalColumn], mapping: Mapping[str, str]) -> Partition:
    """Refuse the files of a partition that lack a column or have it in a type that is not expected."""
    return replace(partition, files=tuple(_check_columns(file, columns, mapping) for file in partition.files))


def probe(partition: Partition) -> Partition:
    """Read every page of a partition's files, in Arrow and in DuckDB, and refuse those that fail.

    Footers can be fine above broken pages, and what one of the two reads can be beyond the other.
    """
    with duckdb.connect() as connection:
        connection.execute("set threads = 1")
        S3Session(connection, [file.path for file in partition.files])
        files = tuple(_probe_file(connection, file) for file in partition.files)
    return replace(partition, files=files, is_probed=True)


def without_corrupt_files(
    partitions: Sequence[Partition],
    use: Callable[[Sequence[Partition]], Result],
    judge: Callable[[Partition], Partition] = lambda partition: partition,
) -> tuple[list[Partition], Result]:
    """`use` what can be read of the partitions; if that fails, find the files whose pages are broken and go on without.

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
    """What can be read of the partitions of which something can."""
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


def open_parquet(path: str, *, dictionary_columns: Sequence[str] = ()) -> pq.ParquetFile:
    """A local or s3:// Parquet file; the named text columns come as dictionaries."""
    filesystem, inner = filesystem_of(path)
    return pq.ParquetFile(
        filesystem.open_input_file(inner), read_dictionary=list(dictionary_columns), pre_buffer="://" in path
    )


def oversized_of(parquet: pq.ParquetFile, path: str) -> Mapping[str, int]:
    """Bytes of a cell of the columns of an open file whose cells are too large to be read, by path."""
    filesystem, inner = filesystem_of(path)
    return _oversized(parquet.metadata, partial(_read_start, filesystem, inner))


def _scheme(location: str) -> str:
    return f"{location.split('://', 1)[0]}://" if "://" in location else ""


def _entries(filesystem: pafs.FileSystem, root: str, day: date) -> list[pafs.FileInfo]:
    selector = pafs.FileSelector(f"{root}/dt={day.isoformat()}", allow_not_found=True)
    found = filesystem.get_file_info(selector)
    files = (entry for entry in found if entry.is_file and entry.extension == "parquet")
    return sorted((entry for entry in files if not is_hidden(entry.base_name)), key=lambda entry: str(entry.path))


def _is_day_folder(name: str) -> bool:
    try:
        date.fromisoformat(name.removeprefix("dt="))
    except ValueError:
        return False
    return name.startswith("dt=")


def _read_footer(filesystem: pafs.FileSystem, entry: pafs.FileInfo, day: date, prefix: str) -> InputFile:
    path = prefix + entry.path
    unread = InputFile(day, path, entry.size, 0, {}, None, f"size:{entry.size}", entry.mtime_ns)
    try:
        with filesystem.open_input_file(entry.path) as source:
            footer = _footer_bytes(source, entry.size)
    except OSError as error:
        raise InputError(
            f"{path} cannot be read: {_first_line(error)}",
            hint="check permissions; if the storage could not be reached, run again",
        ) from error
    if footer is None:
        return unread.refused(
            f"{path} is not a readable Parquet file (no Parquet footer: truncated, or another format)"
        )
    try:
        metadata = pq.read_metadata(pa.BufferReader(footer + struct.pack("<I", len(footer)) + _MAGIC))
        if beyond := _beyond_limits(unread, metadata):
            return beyond
        schema = metadata.schema.to_arrow_schema()
        columns = {name: schema.field(place).type for place, name in enumerate(schema.names)}
        described = ";".join(f"{name}:{kind}" for name, kind in columns.items())
        oversized = _oversized(metadata, partial(_read_start, filesystem, entry.path))
    except UnicodeDecodeError:
        return unread.refused(f"{path} is not a readable Parquet file (a column has a name that is not UTF-8)")
    except (pa.ArrowException, OSError) as error:
        return unread.refused(f"{path} is not a readable Parquet file ({_first_line(error)})")
    if len(columns) < len(schema.names):
        twice = sorted(name for name, count in Counter(schema.names).items() if count > 1)
        return unread.refused(f"{path} has several columns called {', '.join(twice)}")
    return replace(
        unread,
        row_count=metadata.num_rows,
        row_group_sizes=tuple(metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)),
        columns=columns,
        schema_fingerprint=hashlib.sha256(described.encode()).hexdigest()[:16],
        content_fingerprint=hashlib.sha256(entry.size.to_bytes(8, "little") + footer).hexdigest(),
        oversized=oversized,
    )


def _beyond_limits(unread: InputFile, metadata: pq.FileMetaData) -> InputFile | None:
    """The file, refused, if its footer tells of more than a file may have."""
    rows, size = metadata.num_rows, unread.size_bytes
    if rows > max(_FEW_ROWS, _MOST_ROWS_PER_BYTE * size):
        return replace(unread, is_repetition=True).refused(
            f"{unread.path} has {rows:,} rows in {size:,} bytes, more than {_MOST_ROWS_PER_BYTE} a byte:"
            " so many equal rows cannot be predictions or labels"
        )
    if metadata.num_columns > _MOST_COLUMNS:
        reason = f"has {metadata.num_columns:,} columns, more than {_MOST_COLUMNS:,}"
        return replace(unread, row_count=rows).refused(f"{unread.path} {reason}")
    return None


def _oversized(metadata: pq.FileMetaData, read_start: Callable[[int], bytes]) -> dict[str, int]:
    """Bytes of a cell of the columns whose cells are too large, by path; `read_start` gives the first bytes at an offset.

    Told from the sizes of columns in the footer, and of dictionaries, which hold a cell once for all rows that have it.
    """
    found: dict[str, int] = {}
    for group in map(metadata.row_group, range(metadata.num_row_groups)):
        if group.total_byte_size > _SMALL_BYTES:
            for column in map(group.column, range(group.num_columns)):
                if column.physical_type == "BYTE_ARRAY" and column.total_uncompressed_size > _SMALL_BYTES:
                    cell = _cell_bytes(column, read_start)
                    if cell > LARGEST_CELL_BYTES:
                        found[column.path_in_schema] = max(cell, found.get(column.path_in_schema, 0))
    return found


def _cell_bytes(column: pq.ColumnChunkMetaData, read_start: Callable[[int], bytes]) -> int:
    """What a cell of a column takes, on average, or a value of its dictionary if that is more."""
    average = int(column.total_uncompressed_size // max(column.num_values, 1))
    if not column.has_dictionary_page:
        return average
    values = iter(_numbers_of_page_header(read_start(column.dictionary_page_offset)))
    _, uncompressed, _, value_count = (next(values, 0) for _ in range(4))
    return max(average, uncompressed // max(value_count, 1))


def _numbers_of_page_header(header: bytes) -> Iterator[int]:
    """Page type, uncompressed size, compressed size and number of values: the first numbers of a dictionary's header.

    Thrift's compact protocol: a field is one byte, then its number in groups of seven bits, zigzag; a checksum may be among
    them (field 4), and the header of the dictionary (field 7, a struct) begins with the number of its values.
    """
    place = field_id = 0
    while place < len(header):
        kind, step = header[place] & 0x0F, header[place] >> 4
        field_id, place = field_id + step, place + 1
        if kind == _THRIFT_STRUCT:
            field_id = 0
            continue
        if kind != _THRIFT_I32:
            return
        number = shift = 0
        while place < len(header):
            number |= (header[place] & 0x7F) << shift
            shift, place = shift + 7, place + 1
            if header[place - 1] < 0x80:
                break
        if field_id != _THRIFT_CHECKSUM:
            yield (number >> 1) ^ -(number & 1)


def _read_start(filesystem: pafs.FileSystem, path: str, offset: int) -> bytes:
    with filesystem.open_input_file(path) as source:
        start: bytes = source.read_at(_PAGE_HEADER_BYTES, offset)
    return start


def _within(root: str, file: InputFile) -> InputFile:
    """The file, refused if it is a link to outside of the folder that was configured."""
    if "://" in file.path or file.refusal or Path(os.path.realpath(file.path)).is_relative_to(os.path.realpath(root)):
        return file
    return file.refused(f"{file.path} is a link to a file outside {root}")


def _footer_bytes(source: pa.NativeFile, size: int) -> bytes | None:
    """The footer without its length and magic; None if there is none."""
    if size < 2 * _TAIL_BYTES:
        return None
    tail: bytes = source.read_at(_TAIL_BYTES, size - _TAIL_BYTES)
    length = int(struct.unpack("<I", tail[:4])[0])
    if tail[4:] != _MAGIC or length > size - _TAIL_BYTES:
        return None
    footer: bytes = source.read_at(length, size - _TAIL_BYTES - length)
    return footer


def _check_columns(file: InputFile, columns: Collection[CanonicalColumn], mapping: Mapping[str, str]) -> InputFile:
    if file.refusal:
        return file
    objections = objections_to(file, columns, mapping)
    objections += [
        f"has a column {name}, a name that DuckDB uses itself" for name in file.columns if name.lower() in _RESERVED
    ]
    return file.refused(f"{file.path} {'; '.join(objections)}") if objections else file


def objections_to(file: InputFile, columns: Iterable[CanonicalColumn], mapping: Mapping[str, str]) -> list[str]:
    """What is wrong with the columns of a file that are read."""
    objections = [objection for column in columns if (objection := column.objection(file.columns, mapping))]
    if file.oversized:
        own = dict.fromkeys(column.own_name(mapping) for column in columns)
        objections += [oversize(name, size) for name in own if (size := file.cell_bytes(name))]
    return objections


def oversize(column: str, cell_bytes: int) -> str:
    """What is said of a column whose cells are too large."""
    return f"has column {column} with cells of {cell_bytes:,} bytes, more than {LARGEST_CELL_BYTES:,}"


def _probe_file(connection: duckdb.DuckDBPyConnection, file: InputFile) -> InputFile:
    if file.refusal:
        return file
    columns = list(file.countable_columns)
    try:
        with open_parquet(file.path) as parquet:
            for group in range(parquet.num_row_groups):
                for column in columns:
                    parquet.read_row_group(group, columns=[column])
        [layout] = layouts_of([file])
        read = ", ".join(str(layout.column(name)) for name in columns)
        connection.execute(f"select bit_xor(hash({read})) from {layout.source()}").fetchall()
    except (pa.ArrowException, OSError) as error:
        return file.refused(f"{file.path} is corrupt ({_first_line(error)})")
    except duckdb.Error as error:
        return file.refused(f"{file.path} cannot be read by DuckDB ({_first_line(error)})")
    return file


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
