"""Which columns of a file are features, and which of them cannot be counted.

Not here: which files there are (`driftlake.inputs.partitions`), and handling refused features (`driftlake.contract`,
`driftlake.profiles`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pyarrow as pa

from driftlake.inputs.columns import other_case
from driftlake.inputs.parquet_files import InputFile, oversize
from driftlake.inputs.parquet_sql import is_keyed, keyed_type
from driftlake.inputs.predictions import PredictionGroup
from driftlake.maths import encoding
from driftlake.maths.binning import FeatureBins
from driftlake.maths.value_text import is_text


@dataclass(frozen=True, slots=True)
class RefusedFeature:
    """A feature that a file of a day lacks or stores in a type that cannot be counted."""

    key: PredictionGroup
    feature: str
    path: str
    row_count: int
    message: str


class _KeyedColumns(Mapping[str, pa.DataType]):
    """The features of a column whose rows name them: any name may occur."""

    def __init__(self, kind: pa.DataType) -> None:
        self._kind = kind

    def __getitem__(self, _name: str) -> pa.DataType:
        return self._kind

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def feature_columns(file: InputFile, struct: str | None) -> Mapping[str, pa.DataType]:
    """The columns of a file that may be features: all of them, or the fields of a struct column or the keys of a MAP or JSON column."""
    if struct is None:
        # texts in the names of folders are converted to the type of the feature
        return {**file.columns, **dict.fromkeys(file.values, pa.null())}
    kind = file.columns.get(struct)
    if kind is not None and is_keyed(kind):
        # text is converted to the type of the feature
        values = keyed_type(kind)
        return _KeyedColumns(pa.null() if is_text(values) else values)
    return {field.name: field.type for field in kind} if isinstance(kind, pa.StructType) else {}


def feature_problem(file: InputFile, columns: Mapping[str, pa.DataType], path: str, bins: FeatureBins) -> str | None:
    """Why the column at `path` cannot be counted into the bins learned in training; None if it can.

    `columns` are the columns that may be features.
    """
    kind = columns.get(bins.feature)
    if kind is None:
        return f"{file.path} has no column {bins.feature}{other_case(bins.feature, columns)}"
    if size := file.cell_bytes(path):
        return f"{file.path} {oversize(bins.feature, size)}"
    if not encoding.fits(kind, bins):
        return f"{file.path}: column {bins.feature} has type {kind}, expected {bins.kind} as in training"
    return None
