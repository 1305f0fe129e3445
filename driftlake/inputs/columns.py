"""The data contract: canonical columns of telemetry and labels, and which Arrow types they may have.

Not here: what the values must be (`expectations`), and reading them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

import pyarrow as pa

from driftlake.errors import ConfigurationError
from driftlake.maths.encoding import is_numeric, is_text


def _is_text_or_integer(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        return _is_text_or_integer(kind.value_type)
    return is_text(kind) or bool(pa.types.is_integer(kind))


def _is_instant(kind: pa.DataType) -> bool:
    return bool(pa.types.is_timestamp(kind) or pa.types.is_date(kind))


def _is_label(kind: pa.DataType) -> bool:
    return is_numeric(kind) or bool(pa.types.is_boolean(kind))


def _is_category(kind: pa.DataType) -> bool:
    return _is_text_or_integer(kind) or bool(pa.types.is_boolean(kind))


def named_beside(own: str, canonical: str) -> str:
    """What files call a column, beside its canonical name."""
    return f"{own} (mapped to {canonical})"


def other_case(name: str, columns: Iterable[str]) -> str:
    """What is said of a column that is not there but for the case of its letters; nothing if it is not there at all."""
    found = [other for other in columns if other.lower() == name.lower()]
    return f" (it has {' and '.join(found)}, which is a different name)" if found else ""


@dataclass(frozen=True, slots=True)
class CanonicalColumn:
    """A column of the data contract and the SQL type it is read as."""

    name: str
    sql_type: str
    is_accepted: Callable[[pa.DataType], bool]
    expected: str
    is_optional: bool = False
    # SQL of a value of this column, from what a file has ({0}) and `sql_type` ({1})
    reading: str = "cast({0} as {1})"
    # canonical column whose values these are too, read in another way
    read_from: str | None = None

    def own_name(self, mapping: Mapping[str, str]) -> str:
        """What files call the column."""
        name = self.read_from or self.name
        return mapping.get(name, name)

    def unread(self) -> CanonicalColumn:
        """The column as nulls, whatever files have."""
        return replace(self, reading="cast(null as {1})")

    def objection(self, columns: Mapping[str, pa.DataType], mapping: Mapping[str, str]) -> str | None:
        """What is wrong with this column in a file that has `columns`; None if nothing is."""
        if self.read_from:
            # what is wrong with it is told of that column
            return None
        own = self.own_name(mapping)
        asked = own if own == self.name else named_beside(own, self.name)
        kind = columns.get(own)
        if kind is None:
            # a column that was mapped is meant to be there
            if self.is_optional and self.name not in mapping:
                return None
            return f"has no column {asked}{other_case(own, columns)}"
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
# What is no value of its type is missing: a feature of the same name keeps no file from being read.
_VALUE = (lambda kind: is_numeric(kind) or _is_category(kind), "text, a number or a boolean")
_LENIENT = "try_cast({0} as {1})"

TELEMETRY_COLUMNS = (
    CanonicalColumn("correlation_id", "varchar", *_TEXT),
    CanonicalColumn("event_time", "timestamp", *_INSTANT),
    CanonicalColumn("model_id", "varchar", *_TEXT),
    CanonicalColumn("model_version", "varchar", *_TEXT),
    CanonicalColumn("deployment", "varchar", *_TEXT, is_optional=True),
    CanonicalColumn("score", "double", *_NUMBER, is_optional=True),
    CanonicalColumn("predicted_class", "varchar", *_CATEGORY, is_optional=True),
    CanonicalColumn("latency_ms", "double", *_NUMBER, is_optional=True),
    CanonicalColumn("success", "boolean", *_VALUE, is_optional=True, reading=_LENIENT),
    CanonicalColumn("error_kind", "varchar", *_VALUE, is_optional=True),
    CanonicalColumn("node_id", "varchar", *_VALUE, is_optional=True),
    CanonicalColumn("gpu_utilization", "double", *_VALUE, is_optional=True, reading=_LENIENT),
    CanonicalColumn("training_dataset_id", "varchar", *_TEXT, is_optional=True),
    CanonicalColumn("user_key", "varchar", *_TEXT, is_optional=True),
    CanonicalColumn("user_key_id", "varchar", *_TEXT, is_optional=True),
)


def telemetry_columns(segments: Iterable[str], latencies: Iterable[str] = ()) -> tuple[CanonicalColumn, ...]:
    """The canonical columns, and those of segments and further latencies, which keep the names they have in the files."""
    own = (CanonicalColumn(name, "varchar", *_CATEGORY, is_optional=True) for name in segments)
    stages = (CanonicalColumn(name, "double", *_NUMBER, is_optional=True) for name in latencies)
    columns = (*TELEMETRY_COLUMNS, *own, *stages)
    names = dict.fromkeys(column.name for column in columns)
    if alike := [name for name in names if sum(name.lower() == other.lower() for other in names) > 1]:
        raise ConfigurationError(
            f"telemetry: {' and '.join(alike)} differ only by case, which SQL cannot tell apart",
            hint="use another column, or rename it where it is written",
        )
    return columns


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

_LABEL = CanonicalColumn("label", "double", _is_label, "a number or a boolean")
# The label as the text of a class. A whole number reads the same whether stored as an integer or, because of nulls, as a float.
_LABEL_CLASS = CanonicalColumn(
    "label_class",
    "varchar",
    *_CATEGORY,
    is_optional=True,
    reading=r"regexp_replace(cast({0} as {1}), '^(-?[0-9]+)\.0+$', '\1')",
    read_from="label",
)
# Labels of several models may share a file: among texts, those of a number or a truth value are what they would be alone.
_LABEL_OR_CLASS = replace(
    _LABEL,
    is_accepted=lambda kind: _is_label(kind) or _is_category(kind),
    expected="text, a number or a boolean",
    reading="coalesce(try_cast({0} as {1}), case cast({0} as varchar) when 'true' then 1 when 'false' then 0 end)",
)

LABEL_COLUMNS = (
    CanonicalColumn("correlation_id", "varchar", *_TEXT),
    _LABEL,
    # without a multiclass model no label is read twice
    _LABEL_CLASS.unread(),
    CanonicalColumn("label_time", "timestamp", *_INSTANT, is_optional=True),
    # the partition day of the prediction: a label that says it is joined to predictions of that day and no other
    CanonicalColumn("prediction_on", "date", pa.types.is_date, "a date", is_optional=True),
)


def label_columns(*, has_classes: bool) -> tuple[CanonicalColumn, ...]:
    """LABEL_COLUMNS, or those of labels that may be classes: of a multiclass model, or two of which a lineage names one."""
    read_as = {"label": _LABEL_OR_CLASS, "label_class": _LABEL_CLASS} if has_classes else {}
    return tuple(read_as.get(column.name, column) for column in LABEL_COLUMNS)
