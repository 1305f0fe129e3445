"""Chooses the features from the columns of the training data if the lineage lists none.

Not here: learning them (`driftlake.training.learning`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from driftlake.config import ModelSettings, Settings
from driftlake.errors import InputError
from driftlake.lineage.lineage_files import LineageFile
from driftlake.maths import encoding
from driftlake.maths.value_text import plain_type
from driftlake.training.learning import TrainingColumns

# Columns of telemetry that identify a prediction and are never inputs of the model.
_IDENTIFYING = (
    "correlation_id",
    "event_time",
    "model_id",
    "model_version",
    "training_dataset_id",
    "user_key",
    "user_key_id",
)
_PANDAS_INDEX = re.compile(r"__index_level_\d+__|Unnamed: \d+")
_NAME_OF_ID = re.compile(
    r"(^|[_ .-])(id|ids|uuid|guid|key|index|idx|row_?number|row_?num)$|[a-z](Id|ID|Uuid|Key)$", re.IGNORECASE
)
# Smallest number of rows to judge distinct values, and the share of distinct values from which a column holds ids:
# any text column, and whole numbers whose name is that of an id.
_FEWEST_ROWS = 50
_DISTINCT_TEXTS, _DISTINCT_NAMED = 0.95, 0.5


@dataclass(frozen=True, slots=True)
class FeatureChoice:
    """The features in order, and for every other column the reason why it is not one."""

    features: Sequence[str]
    left_out: Mapping[str, str]


def choose_features(file: LineageFile, data: TrainingColumns, settings: Settings) -> FeatureChoice:
    """The features that the lineage lists, or else all columns that can be features.

    Raises InputError if no column can be a feature.
    """
    record = file.record
    if record.features is not None:
        return FeatureChoice(record.features, {})
    corrections = settings.models.get(record.model_id, ModelSettings())
    named = {*corrections.categorical, *corrections.numeric, *corrections.critical}
    mapping = settings.telemetry.columns
    identifying = {mapping.get(name, name): name for name in _IDENTIFYING}
    index = set(data.pandas_index)
    features: list[str] = []
    left_out: dict[str, str] = {}
    for name, kind in data.types.items():
        if name in {record.target, record.score}:
            continue
        if name in named:
            features.append(name)
        elif name in index or _PANDAS_INDEX.fullmatch(name):
            left_out[name] = "the index of the data frame"
        elif name in identifying:
            left_out[name] = f"the {identifying[name]} of a prediction"
        elif reason := _reason_to_leave_out(name, kind, data):
            left_out[name] = reason
        else:
            features.append(name)
    if not features:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in left_out.items())
        raise InputError(
            f"{file.path}: no column of {file.training_data} can be used as a feature ({reasons})",
            hint="list the features in the lineage file: `features: [...]`",
        )
    return FeatureChoice(features, left_out)


def _reason_to_leave_out(name: str, kind: pa.DataType, data: TrainingColumns) -> str | None:
    """Why a column is not a feature; None if it can be one."""
    if pa.types.is_temporal(kind):
        return "a point in time"
    if not encoding.is_category(kind):
        return f"of type {kind}, which cannot be counted"
    column = data.column(name)
    if column.null_count == len(column):
        return "without a value"
    distinct = _distinct_count(column)
    if distinct == 1 and not column.null_count:
        return "the same in all rows"
    return "an id" if _is_id(name, column, distinct) else None


def _is_id(name: str, column: pa.ChunkedArray, distinct: int) -> bool:
    rows = len(column) - column.null_count
    if rows < _FEWEST_ROWS:
        return False
    kind = plain_type(column.type)
    is_named = bool(_NAME_OF_ID.search(name))
    if not encoding.is_numeric(kind) and not pa.types.is_boolean(kind):
        return bool(distinct >= (_DISTINCT_NAMED if is_named else _DISTINCT_TEXTS) * rows)
    if not pa.types.is_integer(kind):
        return False
    if is_named:
        return bool(distinct >= _DISTINCT_NAMED * rows)
    # numbers of rows
    smallest, largest = pc.min_max(column).values()
    return bool(distinct == rows == largest.as_py() - smallest.as_py() + 1)


def _distinct_count(column: pa.ChunkedArray) -> int:
    column = column.cast(plain_type(column.type))
    if isinstance(column.type, pa.BaseExtensionType):
        column = pa.chunked_array([chunk.storage for chunk in column.chunks], type=column.type.storage_type)
    return int(pc.count_distinct(column, mode="only_valid").as_py())
