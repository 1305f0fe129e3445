"""What was imported of each file, as Parquet by day in a hidden folder beside the days, so that parts of a trace find each other.

A file is kept under the hash of its content: importing it again replaces what was kept of it. Not here: the rows of a
day (`otlp_days`).
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from driftlake.connect.otlp_lines import Attributes
from driftlake.lake.whole_files import replaced_whole

# Driftlake reads no folder whose name begins so.
FOLDER = "_otlp"
# Few enough to hold in memory, many enough for good Parquet.
_BATCH_ROWS = 20_000

SPAN_FIELDS = (
    ("trace_id", pa.string()),
    ("span_id", pa.string()),
    ("parent_id", pa.string()),
    ("service", pa.string()),
    ("name", pa.string()),
    ("start_ns", pa.int64()),
    ("end_ns", pa.int64()),
    ("is_error", pa.bool_()),
)
EVENT_FIELDS = (("trace_id", pa.string()), ("time_ns", pa.int64()))


def number_column(attribute: str) -> str:
    """The column of an attribute's values that are numbers."""
    return f"number:{attribute}"


def text_column(attribute: str) -> str:
    """The column of an attribute's values that are texts."""
    return f"text:{attribute}"


def content_hash(path: Path) -> str:
    """The name under which a file is kept."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:32]


def day_of(nanoseconds: int) -> date:
    """The UTC day of a time."""
    return datetime.fromtimestamp(nanoseconds // 1_000_000_000, UTC).date()


def folder_of(target: Path, day: date) -> Path:
    """Where the entries of a day are kept."""
    return target / FOLDER / f"dt={day}"


class Keeper:
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
        self.fields = [name for name, _ in fields]
        values = [(text_column(each), pa.string()) for each in attributes]
        values += [(number_column(each), pa.float64()) for each in attributes]
        self.schema = pa.schema([*fields, *values])
        self.writers: dict[date, pq.ParquetWriter] = {}
        self.rows: dict[date, list[dict[str, Any]]] = defaultdict(list)
        self.row_count = 0

    def keep(self, nanoseconds: int, entry: Any) -> None:
        """Add a span or an event at its time."""
        row = {name: getattr(entry, name) for name in self.fields}
        self.rows[day_of(nanoseconds)].append(row | self._values(entry.attributes))
        self.row_count += 1
        if self.row_count % _BATCH_ROWS == 0:
            self.flush()

    def _values(self, attributes: Attributes) -> dict[str, Any]:
        return {
            (number_column if isinstance(value, float) else text_column)(name): value
            for name in self.attributes
            if (value := attributes.get(name)) is not None
        }

    def flush(self) -> None:
        """Write what is held in memory."""
        for day, rows in self.rows.items():
            if day not in self.writers:
                path = folder_of(self.target, day) / f"{self.name}.parquet"
                temporary = self.stack.enter_context(replaced_whole(path))
                writer = pq.ParquetWriter(temporary, self.schema, compression="zstd")
                self.writers[day] = self.stack.enter_context(writer)
            self.writers[day].write_table(pa.Table.from_pylist(rows, self.schema))
        self.rows.clear()

    @property
    def days(self) -> list[date]:
        """The days that have entries."""
        return sorted({*self.writers, *self.rows})


@contextmanager
def keeping(
    target: Path, name: str, fields: Sequence[tuple[str, pa.DataType]], attributes: Sequence[str]
) -> Iterator[Keeper]:
    """A keeper whose files appear when all of them are complete."""
    with ExitStack() as stack:
        keeper = Keeper(target, name, fields, attributes, stack)
        yield keeper
        keeper.flush()


def kept_files(target: Path, days: Iterable[date]) -> Iterator[str]:
    """The kept files of some days."""
    for day in days:
        yield from (str(path) for path in sorted(folder_of(target, day).glob("*.parquet")) if path.name[0] != ".")
