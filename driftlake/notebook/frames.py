"""Data frames of any library, and Parquet files, as columns that can be learned from and counted.

Not here: what is counted (`driftlake.notebook.comparing`, `driftlake.notebook.measuring`).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import pyarrow as pa

from driftlake.errors import InputError
from driftlake.inputs.columns import other_case
from driftlake.lineage.lineage_files import LineageFile, LineageRecord
from driftlake.training.learning import TrainingColumns, TrainingData
from driftlake.vocabulary.wording import first_of

_ACCEPTED = "a pandas or polars data frame, an Arrow table, or the path of a Parquet file or folder"
_LISTED_COLUMNS = 20


# a frame of any library, or a path
Frame: TypeAlias = Any


@dataclass(frozen=True)
class FrameColumns:
    """The columns of an Arrow table as `TrainingColumns`."""

    table: pa.Table

    @property
    def types(self) -> Mapping[str, pa.DataType]:
        """Names and types of the columns, in order."""
        return {field.name: field.type for field in self.table.schema}

    @property
    def pandas_index(self) -> Sequence[str]:
        """No column: the index of a pandas data frame is left out when it is converted."""
        return ()

    def row_count(self) -> int:
        """Number of rows."""
        return int(self.table.num_rows)

    def column(self, name: str) -> pa.ChunkedArray:
        """The values of a column."""
        return self.table.column(name)


def columns_of(frame: Frame, name: str) -> TrainingColumns:
    """The columns of a frame, or of the files at a path; `name` is what messages call it.

    Raises InputError if it is something else, cannot be read, or has no rows.
    """
    columns = _files(os.fspath(frame), name) if isinstance(frame, str | os.PathLike) else _frame(frame, name)
    if not columns.row_count():
        raise InputError(f"{name} has no rows", hint="check the filter or the path that it comes from")
    return columns


def require_columns(columns: TrainingColumns, name: str, asked: Iterable[str]) -> None:
    """Raises InputError naming the columns that are missing."""
    if absent := [column for column in asked if column not in columns.types]:
        cases = "".join(other_case(column, columns.types) for column in absent)
        raise InputError(
            f"{name} has no column {', '.join(absent)}{cases}",
            hint=f"it has {first_of(list(columns.types), _LISTED_COLUMNS)}",
        )


def as_file(record: LineageRecord, name: str) -> LineageFile:
    """A record as the functions that learn take it; `name` is what their messages call the data."""
    return LineageFile(name, record, name)


def _files(path: str, name: str) -> TrainingColumns:
    record = LineageRecord(
        model_id=name, model_version="-", training_run_id="-", training_dataset_id="-", training_data=path
    )
    return TrainingData(LineageFile(name, record, path))


def _frame(frame: Any, name: str) -> FrameColumns:
    table = _arrow(frame, name)
    names = table.column_names
    if twice := sorted({column for column in names if names.count(column) > 1}):
        raise InputError(f"{name} has several columns called {', '.join(twice)}", hint="rename all but one of each")
    return FrameColumns(table)


def _arrow(frame: Any, name: str) -> pa.Table:
    library = type(frame).__module__.partition(".")[0]
    try:
        if isinstance(frame, pa.Table):
            return frame
        if isinstance(frame, pa.RecordBatch):
            return pa.Table.from_batches([frame])
        if library == "polars":
            return _of_polars(frame)
        if library == "pandas" and hasattr(frame, "columns"):
            return pa.Table.from_pandas(frame, preserve_index=False)
        if hasattr(frame, "__arrow_c_stream__") and hasattr(frame, "columns"):
            return pa.table(frame)
    except (pa.ArrowException, TypeError, ValueError) as error:
        reasons = "; ".join(map(str, error.args))
        raise InputError(
            f"{name} cannot be read: {reasons}", hint="convert the column to one type, e.g. with `astype`"
        ) from error
    kind = f"{type(frame).__module__}.{type(frame).__qualname__}".removeprefix("builtins.")
    raise InputError(f"{name} is of type {kind}, expected {_ACCEPTED}")


def _of_polars(frame: Any) -> pa.Table:
    import polars as pl

    collected = frame.collect() if isinstance(frame, pl.LazyFrame) else frame
    if not isinstance(collected, pl.DataFrame):
        raise TypeError(f"it is a {type(frame).__name__}, expected a data frame")
    # the types that Parquet has, which the functions that count know
    return collected.to_arrow(compat_level=pl.CompatLevel.oldest())
