"""The data contract: canonical columns of telemetry and labels, and which Arrow types they may have.

Not here: what the values must be (expectations/), and reading them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import pyarrow as pa

from driftlake.values import is_numeric


def _is_text_or_integer(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_string_view(kind)
        or pa.types.is_integer(kind)
        or (pa.types.is_dictionary(kind) and _is_text_or_integer(kind.value_type))
    )


def _is_instant(kind: pa.DataType) -> bool:
    return bool(pa.types.is_timestamp(kind) or pa.types.is_date(kind))


def _is_label(kind: pa.DataType) -> bool:
    return is_numeric(kind) or bool(pa.types.is_boolean(kind))


def _is_category(kind: pa.DataType) -> bool:
    return _is_text_or_integer(kind) or bool(pa.types.is_boolean(kind))


@dataclass(frozen=True, slots=True)
class CanonicalColumn:
    """A column of the data contract and the SQL type it is read as."""

    name: str
    sql_type: str
    is_accepted: Callable[[pa.DataType], bool]
    expected: str
    is_optional: bool = False

    def objection(self, columns: Mapping[str, pa.DataType], mapping: Mapping[str, str]) -> str | None:
        """What is wrong with this column in a file that has `columns`; None if nothing is."""
        own = mapping.get(self.name, self.name)
        asked = own if own == self.name else f"{own} (mapped to {self.name})"
        kind = columns.get(own)
        if kind is None:
            # a column that was mapped is meant to be there
            return None if self.is_optional and self.name not in mapping else f"has no column {asked}"
        # a column of nulls alone is often written without a type
        is_empty = self.is_optional and pa.types.is_null(kind)
        return (
            None
            if is_empty or self.is_accepted(kind)
            else f"has column {asked} of type {kind}, expected {self.expected}"
        )


_TEXT = (_is_text_or_integer, "text or integer")
_NUMBER = (is_numeric, "a number")
_INSTANT = (_is_instant, "a timestamp")
_CATEGORY = (_is_category, "text, integer or boolean")

TELEMETRY_COLUMNS = (
    CanonicalColumn("correlation_id", "varchar", *_TEXT),
    CanonicalColumn("event_time", "timestamp", *_INSTANT),
    CanonicalColumn("model_id", "varchar", *_TEXT),
    CanonicalColumn("model_version", "varchar", *_TEXT),
    CanonicalColumn("deployment", "varchar", *_TEXT, is_optional=True),
    CanonicalColumn("score", "double", *_NUMBER, is_optional=True),
    CanonicalColumn("predicted_class", "varchar", *_CATEGORY, is_optional=True),
    CanonicalColumn("latency_ms", "double", *_NUMBER, is_optional=True),
)


def telemetry_columns(segments: Iterable[str]) -> tuple[CanonicalColumn, ...]:
    """The canonical columns and the segment columns, which keep the names they have in the files."""
    own = (CanonicalColumn(name, "varchar", *_CATEGORY, is_optional=True) for name in segments)
    return (*TELEMETRY_COLUMNS, *own)


EXPLANATION_COLUMNS = (
    CanonicalColumn("model_id", "varchar", *_TEXT),
    CanonicalColumn("model_version", "varchar", *_TEXT),
    CanonicalColumn("deployment", "varchar", *_TEXT, is_optional=True),
    CanonicalColumn("segment", "varchar", *_TEXT, is_optional=True),
    CanonicalColumn("feature", "varchar", *_TEXT),
    CanonicalColumn("row_count", "bigint", *_NUMBER),
    CanonicalColumn("absolute_sum", "double", *_NUMBER),
    CanonicalColumn("signed_sum", "double", *_NUMBER),
)

LABEL_COLUMNS = (
    CanonicalColumn("correlation_id", "varchar", *_TEXT),
    CanonicalColumn("label", "double", _is_label, "a number or a boolean"),
    CanonicalColumn("label_time", "timestamp", *_INSTANT, is_optional=True),
    # the partition day of the prediction: a label that says it is joined to predictions of that day and no other
    CanonicalColumn("prediction_on", "date", pa.types.is_date, "a date", is_optional=True),
)
