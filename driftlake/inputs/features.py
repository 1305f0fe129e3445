"""Which columns of a file are features, and which of them cannot be counted.

Not here: which files there are (`driftlake.inputs.partitions`), and what becomes of a refused feature (`driftlake.contract`, `driftlake.profiles`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

from driftlake.inputs.columns import other_case
from driftlake.inputs.parquet_files import InputFile, oversize
from driftlake.inputs.predictions import PredictionGroup
from driftlake.maths import encoding
from driftlake.maths.binning import FeatureBins


@dataclass(frozen=True, slots=True)
class RefusedFeature:
    """A feature that a file of a day lacks or stores in a type that cannot be counted."""

    key: PredictionGroup
    feature: str
    path: str
    row_count: int
    message: str


def feature_columns(file: InputFile, struct: str | None) -> Mapping[str, pa.DataType]:
    """Columns of a file that may be features: all, or the fields of the struct column."""
    if struct is None:
        return file.columns
    kind = file.columns.get(struct)
    return {field.name: field.type for field in kind} if isinstance(kind, pa.StructType) else {}


def feature_objection(file: InputFile, columns: Mapping[str, pa.DataType], path: str, bins: FeatureBins) -> str | None:
    """Why the column at `path` cannot be counted as the feature it was in training; None if it can.

    `columns` are those that may be features.
    """
    kind = columns.get(bins.feature)
    if kind is None:
        return f"{file.path} has no column {bins.feature}{other_case(bins.feature, columns)}"
    if size := file.cell_bytes(path):
        return f"{file.path} {oversize(bins.feature, size)}"
    if not encoding.fits(kind, bins):
        return f"{file.path}: column {bins.feature} has type {kind}, expected {bins.kind} as in training"
    return None
