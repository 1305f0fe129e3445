"""Data that is sent between the driver and the workers: schemas of the rows, and types of the functions that produce them.

Times are microseconds since 1970, and hashes are signed, because Spark has no other types. Not here: the functions
(`driftlake.engines.worker`, `driftlake.engines.label_worker`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import pyarrow as pa

# A function for mapInArrow.
Mapped: TypeAlias = Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]
# A function for applyInArrow.
Applied: TypeAlias = Callable[[pa.Table], pa.Table]
# A function for cogroup and applyInArrow.
Joined: TypeAlias = Callable[[pa.Table, pa.Table], pa.Table]

_GROUP = [("dt", pa.date32()), *((name, pa.string()) for name in ("model_id", "model_version", "deployment"))]
_PART = [("day", pa.int32()), ("version", pa.int32()), ("kind", pa.string()), ("name", pa.string())]
SURVEY = pa.schema(
    [
        ("subject", pa.string()),
        ("file_id", pa.int32()),
        *_GROUP,
        ("value", pa.string()),
        ("row_count", pa.int64()),
        ("sampled_count", pa.int64()),
    ]
)
KEYS = pa.schema(
    [
        ("shard", pa.int64()),
        ("file_id", pa.int32()),
        ("file_row_number", pa.int64()),
        ("event_time", pa.int64()),
        ("code", pa.int32()),
        ("is_sampled", pa.bool_()),
        ("key_hash", pa.int64()),
    ]
)
COUNTS = pa.schema([*_PART, ("number", pa.int32()), ("counts", pa.binary())])
COUNTED = pa.schema([*_PART, ("counts", pa.binary())])
SCORES = pa.schema(
    [
        ("bucket", pa.int32()),
        ("version_id", pa.int32()),
        *_GROUP,
        ("correlation_id", pa.string()),
        ("score", pa.float64()),
    ]
)
# Rows of sql/profiles/shadow_sums.sql; rows with a difference are those of sql/profiles/shadow_differences.sql.
SHADOW = pa.schema(
    [
        *_GROUP,
        ("production_version", pa.string()),
        ("bin_id", pa.int32()),
        ("production_bin_id", pa.int32()),
        ("difference", pa.float64()),
        ("row_count", pa.int64()),
        ("difference_sum", pa.decimal128(38, 15)),
        ("squared_difference_sum", pa.decimal128(38, 15)),
        ("both_at_cut_count", pa.int64()),
        ("candidate_at_cut_count", pa.int64()),
        ("production_at_cut_count", pa.int64()),
    ]
)

# Rows of one of service.SUMS, which `part` names; times are microseconds since 1970.
CALLS = pa.schema(
    [
        ("part", pa.string()),
        ("code", pa.int32()),
        ("hour_at", pa.int64()),
        ("node_name", pa.string()),
        ("metric", pa.string()),
        ("bin_id", pa.int32()),
        ("error_kind", pa.string()),
        *(
            (name, pa.int64())
            for name in ("row_count", "prediction_count", "outcome_count", "success_count", "gpu_count")
        ),
        ("gpu_utilization_sum", pa.decimal128(38, 12)),
        ("gpu_utilization_max", pa.float64()),
    ]
)
_PLACE = [("file_id", pa.int32()), ("file_row_number", pa.int64())]
LABELS = pa.schema(
    [
        ("bucket", pa.int32()),
        ("dt", pa.date32()),
        ("correlation_id", pa.string()),
        ("label", pa.float64()),
        ("label_class", pa.string()),
        ("label_time", pa.int64()),
        ("prediction_on", pa.date32()),
        *_PLACE,
    ]
)
PREDICTIONS = pa.schema(
    [
        ("bucket", pa.int32()),
        *_GROUP,
        ("correlation_id", pa.string()),
        ("event_time", pa.int64()),
        ("score", pa.float64()),
        ("predicted_class", pa.string()),
        ("class_scores", pa.map_(pa.string(), pa.float64())),
        ("segments", pa.list_(pa.string())),
        *_PLACE,
    ]
)
LABEL_DAYS = pa.schema([("dt", pa.date32()), ("prediction_on", pa.date32())])
NODES = pa.schema([("subject", pa.string()), ("dt", pa.date32()), ("value", pa.string()), ("row_count", pa.int64())])

# Subject of a row of SURVEY that is not a segment column.
NO_SEGMENT = ""


def is_value_counts(kind: str, name: str) -> bool:
    """Whether a row of COUNTED holds rows of the tables of distinct values."""
    return (kind, name) == ("profile", "value_counts")


def in_schema(schema: pa.Schema, table: pa.Table, **same: Any) -> list[pa.RecordBatch]:
    """Rows in a schema: constant columns are passed as arguments, missing columns are null."""
    columns = []
    for wanted in schema:
        if wanted.name in same:
            columns.append(pa.repeat(pa.scalar(same[wanted.name], wanted.type), table.num_rows))
        elif wanted.name in table.schema.names:
            columns.append(table[wanted.name].cast(wanted.type))
        else:
            columns.append(pa.nulls(table.num_rows, wanted.type))
    batches: list[pa.RecordBatch] = pa.table(columns, schema).to_batches()
    return batches
