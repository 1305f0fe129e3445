"""A task of a worker: row groups of a day, and a DuckDB session in which they are a relation.

Not here: processing the relation (`driftlake.engines.worker`, `driftlake.engines.label_worker`).
"""

from __future__ import annotations

import pickle
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import groupby
from typing import TypeAlias

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from driftlake.config import Settings
from driftlake.inputs.parquet_files import InputFile
from driftlake.inputs.partitions import Partition
from driftlake.inputs.predictions import (
    ROW_POSITIONS_SCHEMA,
    LeftOut,
    Reading,
    create_version_tables,
    create_view_of_partitions,
)
from driftlake.lake.session import create_table, open_session
from driftlake.lineage.versions import ModelVersion
from driftlake.profiles.plan import Piece

Positions: TypeAlias = NDArray[np.int64]

# Number of rows per batch that a worker returns.
ROWS_PER_BATCH = 50_000
_NO_POSITIONS: Positions = np.empty(0, np.int64)


@dataclass(frozen=True, slots=True)
class Source:
    """How files of telemetry or labels are read; the same for all tasks."""

    settings: Settings
    side: Reading
    versions: Sequence[ModelVersion]
    blocked: Mapping[date, Collection[str]]


@dataclass(frozen=True, slots=True)
class Task:
    """A shard of a day: `day` is the position of the day, `files` are the files of its pieces with their positions among all files.

    `broken` has the quarantined rows by the position of their file.
    """

    day: int
    number: int
    pieces: Sequence[Piece]
    file_ids: Mapping[str, int]
    broken: Mapping[int, Positions] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Span:
    """Consecutive row groups of a file."""

    file: InputFile
    file_id: int
    start: int
    end: int

    @property
    def is_whole(self) -> bool:
        """Whether it covers the whole file."""
        return self.start == 0 and self.end == self.file.stored_row_count


def tasks_of(batches: Iterable[pa.RecordBatch]) -> Iterator[tuple[Task, int]]:
    """Tasks with their numbers."""
    for batch in batches:
        yield from zip(unpacked(batch), batch.column("shard").to_pylist(), strict=True)


def unpacked(batch: pa.RecordBatch) -> Iterator[Task]:
    """The tasks of a batch."""
    for packed in batch.column("task").to_pylist():
        yield pickle.loads(packed)  # noqa: S301  # packed by the driver


def opened(source: Source, task: Task, relation: str = "predictions") -> duckdb.DuckDBPyConnection:
    """A session in which `relation` has the rows of a task, with file ids as among all files."""
    connection = open_session(of_a_task(source.settings))
    create_version_tables(connection, source.versions, source.settings.models)
    spans = list(spans_of(task))
    whole = [span for span in spans if span.is_whole]
    shares = [whole] * bool(whole) + [[span] for span in spans if not span.is_whole]
    relations = [_rows_of(connection, source, task, share, f"rows_{place}") for place, share in enumerate(shares)]
    connection.execute(f"create view {relation} as {' union all '.join(relations)}")
    return connection


def _rows_of(
    connection: duckdb.DuckDBPyConnection, source: Source, task: Task, spans: Sequence[Span], relation: str
) -> str:
    """SQL for the rows of several whole files, or for a part of one file; DuckDB then reads only this part."""
    broken = [task.broken.get(span.file_id, _NO_POSITIONS) for span in spans]
    table = None
    if any(map(len, broken)):
        table = f"broken_{relation}"
        places = np.repeat(np.arange(len(spans), dtype=np.int32), [len(rows) for rows in broken])
        create_table(connection, table, pa.table([places, np.concatenate(broken)], ROW_POSITIONS_SCHEMA))
    partitions = [
        Partition(dt, tuple(span.file for span in of_day)) for dt, of_day in groupby(spans, lambda span: span.file.dt)
    ]
    create_view_of_partitions(connection, relation, partitions, source.side, LeftOut(source.blocked, table))
    ids = ", ".join(str(span.file_id) for span in spans)
    rows = f"select * replace (list_extract([{ids}], file_id + 1)::integer as file_id) from {relation}"
    if spans[0].is_whole:
        return rows
    return f"{rows} where file_row_number >= {spans[0].start} and file_row_number < {spans[0].end}"


def spans_of(task: Task) -> Iterator[Span]:
    """The row groups of a task, grouped by file."""
    for path, of_file in groupby(task.pieces, lambda piece: piece.file.path):
        pieces = list(of_file)
        yield Span(pieces[0].file, task.file_ids[path], pieces[0].start, pieces[-1].end)


def of_a_task(settings: Settings) -> Settings:
    """The settings with the memory and threads that a task may use."""
    compute = settings.compute.model_copy(update={"threads": 1, "memory_limit": settings.spark.task_memory_limit})
    return settings.model_copy(update={"compute": compute})
