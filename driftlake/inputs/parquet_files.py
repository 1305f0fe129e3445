"""What the footer of a Parquet file says: its rows and columns, a fingerprint of its content, and whether the file can be used.

Not here: finding files (`driftlake.inputs.listing`), the files of a day as a whole (`driftlake.inputs.partitions`), and
reading rows.
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq
from numpy.typing import NDArray

from driftlake.errors import InputError
from driftlake.inputs.columns import CanonicalColumn
from driftlake.inputs.listed_files import MAGIC, ListedFile, Value
from driftlake.lake.storage import filesystem_of

_TAIL_BYTES = 8  # footer length (4 bytes, little endian) and the magic

# Limits on files. Real files of predictions or labels stay far below; a file beyond them would take memory or hours. A
# column costs a millisecond in each comparison of schemas. So many features belong in one features column.
_MOST_COLUMNS = 10_000
# Even consecutive compressed ids take more than a tenth of a byte each. Rows with the same id are all kept in memory to
# find repetitions.
_MOST_ROWS_PER_BYTE = 10
_FEW_ROWS = 10_000_000
# A whole row group is in memory: a thousand cells of this size are a gigabyte. A single larger cell among small ones is
# read.
LARGEST_CELL_BYTES = 1_000_000
# A row group or column chunk up to this size cannot contain cells that are too large.
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
    # bytes per cell of the columns whose cells are too large to be read, by column or struct.field
    oversized: Mapping[str, int] = field(default_factory=dict)
    # why existing optional columns are not read, by their names in the file
    unread_columns: Mapping[str, str] = field(default_factory=dict)
    # whether its rows repeat each other so much that their number says nothing about their share of the day
    is_repetition: bool = False
    # values of the columns that come from the names of its folders, or from the log of its table, and not from the file
    values: Mapping[str, Value] = field(default_factory=dict)
    # one bit per row, set if the row is deleted according to the log of its table; rows without a bit are not deleted
    deleted: bytes = b""
    # version of the table at which the file was read; None for a file that does not belong to a table
    table_version: str | None = None

    @property
    def stored_row_count(self) -> int:
        """Rows in the file, including deleted ones; `row_count` excludes them."""
        return sum(self.row_group_sizes) if self.deleted else self.row_count

    @property
    def is_position_deletes(self) -> bool:
        """Whether it is a file of position deletes of an Iceberg table, which lists deleted rows of other files."""
        return self.columns.keys() >= {"file_path", "pos"} and self.columns.keys() <= {"file_path", "pos", "row"}

    def is_deleted(self, start: int, end: int) -> NDArray[np.bool_]:
        """Whether each row from `start` to `end` - 1 is deleted, shape (end - start,)."""
        found = np.zeros(end - start, dtype=np.bool_)
        bits = np.unpackbits(np.frombuffer(self.deleted, dtype=np.uint8))[start:end].astype(np.bool_)
        found[: len(bits)] = bits
        return found

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
        """Bytes per cell of a column, or of a field of a struct column by its path, if they are too many; otherwise 0."""
        # the path of the elements of a list begins with the path of the list
        return max((size for place, size in self.oversized.items() if f"{place}.".startswith(f"{path}.")), default=0)

    def deleted_bits(self) -> str:
        """A 0 or 1 for each row, 1 if it is deleted; empty if no row is."""
        if not self.deleted:
            return ""
        digits = self.is_deleted(0, self.stored_row_count).astype(np.uint8) + ord("0")
        return digits.tobytes().decode()

    def refused(self, reason: str) -> InputFile:
        """The same file, refused for `reason`."""
        return replace(self, refusal=reason)


def open_parquet(path: str, *, dictionary_columns: Sequence[str] = ()) -> pq.ParquetFile:
    """A local or s3:// Parquet file; the named text columns come as dictionaries."""
    filesystem, inner = filesystem_of(path)
    return pq.ParquetFile(
        filesystem.open_input_file(inner), read_dictionary=list(dictionary_columns), pre_buffer="://" in path
    )


def oversized_of(metadata: pq.FileMetaData, path: str) -> Mapping[str, int]:
    """Bytes per cell of the columns whose cells are too large to be read, by path."""
    filesystem, inner = filesystem_of(path)
    return _oversized(metadata, partial(_read_start, filesystem, inner))


def read_footer(listed: ListedFile, day: date) -> InputFile:
    """Read the footer of a listed file of a day; the file is refused if it is not usable Parquet.

    Raises InputError if it cannot be opened.
    """
    path, size = listed.path, listed.size_bytes
    unread = InputFile(
        day,
        path,
        size,
        0,
        {},
        None,
        f"size:{size}",
        listed.modified_ns,
        deleted=listed.deleted,
        table_version=listed.table_version,
    )
    filesystem, inner = filesystem_of(path)
    try:
        with filesystem.open_input_file(inner) as source:
            footer = _footer_bytes(source, size)
    except OSError as error:
        raise InputError(
            f"{path} cannot be read: {first_line(error)}",
            hint="check permissions; if the storage could not be reached, run again",
        ) from error
    if footer is None:
        return unread.refused(
            f"{path} is not a readable Parquet file (no Parquet footer: truncated, or another format)"
        )
    try:
        return _described(unread, listed, footer)
    except UnicodeDecodeError:
        return unread.refused(f"{path} is not a readable Parquet file (a column has a name that is not UTF-8)")
    except (pa.ArrowException, OSError) as error:
        return unread.refused(f"{path} is not a readable Parquet file ({first_line(error)})")


def _described(unread: InputFile, listed: ListedFile, footer: bytes) -> InputFile:
    """The file with what its footer says, refused if it cannot be used."""
    metadata = pq.read_metadata(pa.BufferReader(footer + struct.pack("<I", len(footer)) + MAGIC))
    if beyond := _beyond_limits(unread, metadata):
        return beyond
    schema = metadata.schema.to_arrow_schema()
    columns = {name: schema.field(place).type for place, name in enumerate(schema.names)}
    described = ";".join(f"{name}:{kind}" for name, kind in columns.items())
    oversized = oversized_of(metadata, unread.path)
    if len(columns) < len(schema.names):
        twice = sorted(name for name, count in Counter(schema.names).items() if count > 1)
        return unread.refused(f"{unread.path} has several columns called {', '.join(twice)}")
    if problem := _renamed(schema, listed.field_names):
        return unread.refused(f"{unread.path} {problem}")
    content = hashlib.sha256(unread.size_bytes.to_bytes(8, "little") + footer)
    content.update(listed.deleted)
    values = {name: value for name, value in listed.values.items() if name not in columns}
    found = replace(
        unread,
        row_group_sizes=tuple(metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)),
        columns=columns | dict.fromkeys(values, pa.string()),
        values=values,
        schema_fingerprint=hashlib.sha256(described.encode()).hexdigest()[:16],
        content_fingerprint=content.hexdigest(),
        oversized=oversized,
    )
    return replace(found, row_count=metadata.num_rows - int(found.is_deleted(0, metadata.num_rows).sum()))


def _renamed(schema: pa.Schema, names: Mapping[int, str]) -> str | None:
    """The refusal of a file of an Iceberg table that has a column under another name than the table has now."""
    for column in schema if names else ():
        number = (column.metadata or {}).get(b"PARQUET:field_id")
        if number is not None and names.get(int(number), column.name) != column.name:
            return f"has a column {column.name}, which its table now calls {names[int(number)]}: compact the table"
        if number is not None and int(number) not in names and column.name in names.values():
            return f"has a column {column.name}, a name that its table now gives to another column: compact the table"
    return None


def _beyond_limits(unread: InputFile, metadata: pq.FileMetaData) -> InputFile | None:
    """The file, refused, if it exceeds the limits according to its footer."""
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
    """Bytes per cell of the columns whose cells are too large, by path; `read_start` returns the first bytes at an offset.

    Computed from the sizes of the columns in the footer, and from those of dictionaries, which store a repeated cell
    once.
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
    """The average size of a cell of a column, or of a value in its dictionary if that is larger."""
    average = int(column.total_uncompressed_size // max(column.num_values, 1))
    if not column.has_dictionary_page:
        return average
    values = iter(_numbers_of_page_header(read_start(column.dictionary_page_offset)))
    _, uncompressed, _, value_count = (next(values, 0) for _ in range(4))
    return max(average, uncompressed // max(value_count, 1))


def _numbers_of_page_header(header: bytes) -> Iterator[int]:
    """Page type, uncompressed size, compressed size and number of values, from the header of a dictionary page.

    The header is in Thrift's compact protocol: a field is one byte, followed by its number as a zigzag varint. There
    may be a checksum (field 4). The header of the dictionary (field 7, a struct) begins with the number of values.
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


def within(root: str, file: InputFile) -> InputFile:
    """The file, refused if it is a link that leads out of the configured folder."""
    if "://" in file.path or file.refusal or Path(os.path.realpath(file.path)).is_relative_to(os.path.realpath(root)):
        return file
    return file.refused(f"{file.path} is a link to a file outside {root}")


def _footer_bytes(source: pa.NativeFile, size: int) -> bytes | None:
    """The footer without its length and magic; None if there is none."""
    if size < 2 * _TAIL_BYTES:
        return None
    tail: bytes = source.read_at(_TAIL_BYTES, size - _TAIL_BYTES)
    length = int(struct.unpack("<I", tail[:4])[0])
    if tail[4:] != MAGIC or length > size - _TAIL_BYTES:
        return None
    footer: bytes = source.read_at(length, size - _TAIL_BYTES - length)
    return footer


def problems_of(file: InputFile, columns: Iterable[CanonicalColumn], mapping: Mapping[str, str]) -> list[str]:
    """What is wrong with the required columns of a file; nothing for a file without rows."""
    if not file.row_count:
        return []
    problems = [problem for column in columns if (problem := column.problem(file.columns, mapping))]
    if file.oversized:
        own = dict.fromkeys(column.source_name(mapping) for column in columns if not column.is_optional)
        problems += [oversize(name, size) for name in own if (size := file.cell_bytes(name))]
    return problems


def unread_columns_of(
    file: InputFile, columns: Iterable[CanonicalColumn], mapping: Mapping[str, str]
) -> dict[str, str]:
    """Why existing optional columns of a file are not read, by their names in it."""
    if not file.row_count:
        return {}
    found = {}
    for column in columns:
        own = column.source_name(mapping)
        if reason := column.finding(file.columns, mapping):
            found[own] = f"{file.path}: {reason}"
        elif column.is_optional and (size := file.cell_bytes(own)):
            found[own] = f"{file.path} {oversize(own, size)}, and is not read"
    return found


def oversize(column: str, cell_bytes: int) -> str:
    """The message about a column whose cells are too large."""
    return f"has column {column} with cells of {cell_bytes:,} bytes, more than {LARGEST_CELL_BYTES:,}"


def first_line(error: Exception) -> str:
    """The first line of an error message."""
    return str(error).splitlines()[0] if str(error) else type(error).__name__
