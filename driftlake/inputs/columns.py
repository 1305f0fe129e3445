"""The data contract: canonical columns of telemetry and labels, and which Arrow types they may have.

Not here: what the values must be (`expectations`), and reading them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

import pyarrow as pa

from driftlake.errors import ConfigurationError
from driftlake.lake.queries import literal
from driftlake.maths.encoding import is_numeric
from driftlake.maths.value_text import family, has_text, is_bytes, plain_type, sql_category, sql_id, sql_text

# How writers write a time zone that has no name.
_OFFSET = re.compile(r"([+-])(\d{2}):?(\d{2})", re.ASCII)


def _is_name(kind: pa.DataType) -> bool:
    """Whether values of this type can be names: all that have a text, except booleans."""
    return has_text(kind) and family(kind) != "bool"


def _is_instant(kind: pa.DataType) -> bool:
    return bool(pa.types.is_timestamp(kind) or pa.types.is_date(kind))


def _holds_text(kind: pa.DataType) -> bool:
    """Whether values of this type are texts rather than numbers or booleans."""
    return _is_name(kind) and not is_numeric(plain_type(kind))


def _local_time(instant: str, zone: str) -> str:
    """SQL of an instant in the time zone of its writer: midnight there is on another day in other time zones."""
    if offset := _OFFSET.fullmatch(zone):
        sign, hours, minutes = offset.groups()
        return f"timezone('UTC', {instant}) {sign} interval '{60 * int(hours) + int(minutes)} minutes'"
    return f"timezone({literal(zone)}, {instant})" if "/" in zone else instant


def with_canonical_name(own: str, canonical: str) -> str:
    """The name of a column in the files, with its canonical name."""
    return f"{own} (mapped to {canonical})"


def other_case(name: str, columns: Iterable[str]) -> str:
    """A remark that a missing column exists under a name that differs only by case; empty if there is none."""
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
    # SQL of a value of this column, from the column of the file ({0}) and `sql_type` ({1}); by default its text, or a
    # cast
    reading: str | None = None
    # SQL of a value in files that have text, from that text; by default as above
    reading_of_text: str | None = None
    # whether a number is valid only if it is exact, as ids are
    is_id: bool = False
    # whether its values name segments or classes
    is_category: bool = False
    # canonical column whose values these are too, read in another way
    read_from: str | None = None
    # of timestamps that are written without one
    time_zone: str | None = None

    def source_name(self, mapping: Mapping[str, str]) -> str:
        """The name of the column in the files."""
        name = self.read_from or self.name
        return mapping.get(name, name)

    def value(self, expression: str | None, kind: pa.DataType | None) -> str:
        """SQL of a value, from a column of the files and its type; null if the column is missing or cannot be read."""
        if expression is None or kind is None or not self.is_accepted(kind):
            return f"cast(null as {self.sql_type})"
        if self.reading is None and self.sql_type == "varchar":
            write = sql_category if self.is_category else sql_id if self.is_id else sql_text
            return write(expression, kind)
        if self.reading_of_text and _holds_text(kind):
            return self.reading_of_text.format(sql_text(expression, kind), self.sql_type)
        # bytes are text without its annotation
        value = sql_text(expression, kind) if is_bytes(kind) else expression
        if self.sql_type == "date" and pa.types.is_timestamp(kind) and kind.tz:
            value = _local_time(value, kind.tz)
        if self.time_zone and pa.types.is_timestamp(kind) and kind.tz is None:
            value = f"timezone('UTC', timezone({literal(self.time_zone)}, {value}::timestamp))"
        return (self.reading or "cast({0} as {1})").format(value, self.sql_type)

    def unread(self) -> CanonicalColumn:
        """SQL of the column as nulls, for files whose column must not be read."""
        return replace(self, reading="cast(null as {1})")

    def problem(self, columns: Mapping[str, pa.DataType], mapping: Mapping[str, str]) -> str | None:
        """What is wrong with this column in a file that has `columns`; None if it can be read."""
        if self.read_from:
            # problems are reported for that column
            return None
        own = self.source_name(mapping)
        kind, asked = columns.get(own), self._shown_name(own)
        if kind is None:
            # a column that the configuration maps must exist
            if self.is_optional and self.name not in mapping:
                return None
            return f"has no column {asked}{other_case(own, columns)}"
        if self.is_optional or self.is_accepted(kind):
            return None
        return f"has column {asked} of type {kind}, expected {self.expected}"

    def finding(self, columns: Mapping[str, pa.DataType], mapping: Mapping[str, str]) -> str | None:
        """Why an existing optional column of a file with `columns` is not read; None if it is read or missing."""
        own = self.source_name(mapping)
        kind = columns.get(own)
        # a column that has only nulls is often written without a type
        if not self.is_optional or self.read_from or kind is None or pa.types.is_null(kind) or self.is_accepted(kind):
            return None
        return f"column {self._shown_name(own)} of type {kind} is not read, expected {self.expected}"

    def _shown_name(self, own: str) -> str:
        return own if own == self.name else with_canonical_name(own, self.name)


_TEXT = (_is_name, "text or a number")
_NUMBER = (is_numeric, "a number")
_INSTANT = (_is_instant, "a timestamp")
_CATEGORY = (has_text, "text, a number or a boolean")
# Values that cannot be converted are missing, so that a feature with the same name does not make a file unreadable.
_VALUE = (has_text, "text, a number or a boolean")
_LENIENT = "try_cast({0} as {1})"

TELEMETRY_COLUMNS = (
    CanonicalColumn("correlation_id", "varchar", *_TEXT, is_id=True),
    CanonicalColumn("event_time", "timestamp", *_INSTANT),
    CanonicalColumn("model_id", "varchar", *_TEXT),
    CanonicalColumn("model_version", "varchar", *_TEXT),
    CanonicalColumn("deployment", "varchar", *_TEXT, is_optional=True),
    CanonicalColumn("score", "double", *_NUMBER, is_optional=True),
    CanonicalColumn("predicted_class", "varchar", *_CATEGORY, is_optional=True, is_category=True),
    CanonicalColumn("latency_ms", "double", *_NUMBER, is_optional=True),
    CanonicalColumn("success", "boolean", *_VALUE, is_optional=True, reading=_LENIENT),
    CanonicalColumn("error_kind", "varchar", *_VALUE, is_optional=True),
    CanonicalColumn("node_id", "varchar", *_VALUE, is_optional=True),
    CanonicalColumn("gpu_utilization", "double", *_VALUE, is_optional=True, reading=_LENIENT),
    CanonicalColumn("training_dataset_id", "varchar", *_TEXT, is_optional=True),
    CanonicalColumn("user_key", "varchar", *_TEXT, is_optional=True, is_id=True),
    CanonicalColumn("user_key_id", "varchar", *_TEXT, is_optional=True),
)


def telemetry_columns(
    segments: Iterable[str], latencies: Iterable[str] = (), time_zone: str | None = None
) -> tuple[CanonicalColumn, ...]:
    """The canonical columns, and those of segments and further latencies, which keep the names they have in the files.

    `time_zone` is that of times that are written without one.
    """
    own = (CanonicalColumn(name, "varchar", *_CATEGORY, is_optional=True, is_category=True) for name in segments)
    stages = (CanonicalColumn(name, "double", *_NUMBER, is_optional=True) for name in latencies)
    columns = tuple(
        replace(column, time_zone=time_zone) if column.name == "event_time" else column
        for column in (*TELEMETRY_COLUMNS, *own, *stages)
    )
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


def feature_column(name: str, *, is_number: bool) -> CanonicalColumn:
    """A feature as a column of a session: a number, null where it is none, or a text. `name` is not that of the feature, which may be canonical."""
    if is_number:
        return CanonicalColumn(name, "double", has_text, "", is_optional=True, reading=_LENIENT)
    return CanonicalColumn(name, "varchar", has_text, "", is_optional=True)


OFFLINE_COLUMNS = (CanonicalColumn("correlation_id", "varchar", *_TEXT, is_id=True),)

# Labels of several models may share a file, so texts of numbers and booleans are read as numbers and booleans.
_LABEL = CanonicalColumn(
    "label",
    "double",
    *_CATEGORY,
    reading_of_text="coalesce(try_cast({0} as {1}), case lower({0}) when 'true' then 1 when 'false' then 0 end)",
)
# The label as the text of a class.
_LABEL_CLASS = CanonicalColumn(
    "label_class",
    "varchar",
    *_CATEGORY,
    is_optional=True,
    is_category=True,
    read_from="label",
)
LABEL_COLUMNS = (
    CanonicalColumn("correlation_id", "varchar", *_TEXT, is_id=True),
    _LABEL,
    _LABEL_CLASS,
    CanonicalColumn("label_time", "timestamp", *_INSTANT, is_optional=True),
    # the partition day of the prediction: a label that states it is joined only to predictions of that day
    CanonicalColumn("prediction_on", "date", _is_instant, "a date or a timestamp", is_optional=True),
)


def label_columns(*, has_classes: bool) -> tuple[CanonicalColumn, ...]:
    """LABEL_COLUMNS. Numbers are read as classes, too, only if some model `has_classes` or has declared its positive label.

    Which files can be read does not depend on that.
    """
    if has_classes:
        return LABEL_COLUMNS
    of_text = replace(_LABEL_CLASS, is_accepted=_holds_text)
    return tuple(of_text if column is _LABEL_CLASS else column for column in LABEL_COLUMNS)
