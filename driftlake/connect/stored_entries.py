"""The entries that were imported from each file, as Parquet by day in a hidden folder beside the days. So parts of a trace from several files can be joined.

A file's entries are stored under the hash of its content: importing it again replaces them. Not here: the rows of a
day (`otlp_days`).
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import date, timedelta
from operator import attrgetter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from driftlake.connect.otlp_lines import Event, Span
from driftlake.lake.whole_files import replaced_whole

# Prefix of folders that driftlake ignores.
FOLDER = "_otlp"
# Few enough to hold in memory, many enough for good Parquet.
_BATCH_ROWS = 20_000
_DAY_NS = 24 * 60 * 60 * 1_000_000_000
_EPOCH = date(1970, 1, 1)

SPAN_FIELDS = (
    ("trace_id", pa.string()),
    ("span_id", pa.string()),
    ("parent_id", pa.string()),
    ("service", pa.string()),
    ("name", pa.string()),
    ("start_ns", pa.int64()),
    ("end_ns", pa.int64()),
    ("is_error", pa.bool_()),
    # log records and events of spans that are predictions are kept among the spans
    ("is_event", pa.bool_()),
)
EVENT_FIELDS = (("trace_id", pa.string()), ("time_ns", pa.int64()))


def number_column(attribute: str) -> str:
    """The column of an attribute's numeric values."""
    return f"number:{attribute}"


def text_column(attribute: str) -> str:
    """The column of an attribute's text values."""
    return f"text:{attribute}"


_VALUES = ((text_column, pa.string()), (number_column, pa.float64()))


def content_hash(path: Path) -> str:
    """The name under which a file is kept."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:32]


def folder_of(target: Path, day: date) -> Path:
    """The folder of the entries of a day."""
    return target / FOLDER / f"dt={day}"


class EntryWriter:
    """Writes the entries of one file, each to its day."""

    def __init__(
        self,
        target: Path,
        name: str,
        fields: Sequence[tuple[str, pa.DataType]],
        attributes: Sequence[str],
        stack: ExitStack,
    ) -> None:
        self.target, self.name, self.attributes, self.stack = target, name, attributes, stack
        self.values_of = attrgetter(*(name for name, _ in fields))
        values = [(name(each), kind) for name, kind in _VALUES for each in attributes]
        self.schema = pa.schema([*fields, *values])
        self.writers: dict[date, pq.ParquetWriter] = {}
        # by the number of days since 1970
        self.rows: dict[int, list[tuple[Any, ...]]] = defaultdict(list)
        self.row_count = 0

    def write(self, entry: Span | Event) -> None:
        """Add a span or an event."""
        found = [entry.attributes.get(name) for name in self.attributes]
        texts = [value if isinstance(value, str) else None for value in found]
        numbers = [value if isinstance(value, float) else None for value in found]
        self.rows[entry.start_ns // _DAY_NS].append((*self.values_of(entry), *texts, *numbers))
        self.row_count += 1
        if self.row_count % _BATCH_ROWS == 0:
            self.flush()

    def flush(self) -> None:
        """Write what is held in memory."""
        for number, rows in self.rows.items():
            day = _EPOCH + timedelta(days=number)
            if day not in self.writers:
                path = folder_of(self.target, day) / f"{self.name}.parquet"
                temporary = self.stack.enter_context(replaced_whole(path))
                writer = pq.ParquetWriter(temporary, self.schema, compression="zstd")
                self.writers[day] = self.stack.enter_context(writer)
            columns = [
                pa.array(values, kind) for values, kind in zip(zip(*rows, strict=True), self.schema.types, strict=True)
            ]
            self.writers[day].write_table(pa.Table.from_arrays(columns, schema=self.schema))
        self.rows.clear()

    @property
    def days(self) -> list[date]:
        """The days that have entries, once everything is written."""
        return sorted(self.writers)


@contextmanager
def entry_writer(
    target: Path, name: str, fields: Sequence[tuple[str, pa.DataType]], attributes: Sequence[str]
) -> Iterator[EntryWriter]:
    """A writer whose files appear when all of them are complete."""
    with ExitStack() as stack:
        writer = EntryWriter(target, name, fields, attributes, stack)
        yield writer
        writer.flush()


def stored_files(target: Path, days: Iterable[date]) -> Iterator[str]:
    """The stored files of some days."""
    for day in days:
        yield from (str(path) for path in sorted(folder_of(target, day).glob("*.parquet")) if path.name[0] != ".")
