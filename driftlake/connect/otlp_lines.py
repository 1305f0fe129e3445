"""OTLP JSON to spans and events.

A part that cannot be used is noted and the next one is read. Not here: files (`otlp_files`), and which spans are predictions (`otlp_mapping`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from driftlake.connect.day_files import CLOCK_TOLERANCE_SECONDS

# An attribute as a text or a number; truth values are the texts true and false, whatever is nested is JSON.
Value = str | float
Attributes = dict[str, Value]

# Floats hold whole numbers up to here exactly.
_LARGEST_EXACT = 2**53
_CLOCK_TOLERANCE_NS = CLOCK_TOLERANCE_SECONDS * 1_000_000_000
_TRACE_ID, _SPAN_ID = re.compile(r"[0-9a-f]{32}"), re.compile(r"[0-9a-f]{16}")
_ERROR = (2, "STATUS_CODE_ERROR")
# The lowest severity number of an error.
_ERROR_SEVERITY = 17
ERROR_TYPE = "error.type"
BODY = "body"
_SIGNALS = ("resourceSpans", "resourceLogs", "resourceMetrics", "resourceProfiles")
_SCALARS: Mapping[str, Callable[[Any], Any]] = {
    "stringValue": str,
    "bytesValue": str,
    "boolValue": bool,
    "intValue": int,
    "doubleValue": float,
}
# What a malformed part of a line raises when it is taken apart.
_MALFORMED = (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError)


@dataclass(frozen=True, slots=True)
class Span:
    """A span with the attributes of its resource, unless it has them itself. A root has no parent."""

    is_event: ClassVar[bool] = False
    trace_id: str
    span_id: str
    parent_id: str | None
    service: str | None
    name: str
    start_ns: int
    end_ns: int | None
    is_error: bool
    attributes: Attributes


@dataclass(frozen=True, slots=True)
class Event:
    """A log record, or an event of a span, and the line it was read from. It has the fields of a span, because a prediction may be either."""

    is_event: ClassVar[bool] = True
    parent_id: ClassVar[None] = None
    end_ns: ClassVar[None] = None
    trace_id: str | None
    span_id: str | None
    service: str | None
    name: str | None
    time_ns: int
    is_error: bool
    attributes: Attributes
    line: int

    @property
    def start_ns(self) -> int:
        """Its time."""
        return self.time_ns


@dataclass(slots=True)
class Faults:
    """The parts of a file that were refused: each reason with its number of occurrences and the line or message of the first."""

    path: Path
    unit: str = "line"
    counts: dict[str, int] = field(default_factory=dict)
    first_lines: dict[str, int] = field(default_factory=dict)

    def note(self, reason: str, line: int) -> None:
        """Count a reason."""
        self.counts[reason] = self.counts.get(reason, 0) + 1
        self.first_lines.setdefault(reason, line)

    def sentences(self) -> list[str]:
        """Each reason as people read it."""
        return [
            f"{self.path}: {count:,} refused: {reason} (first in {self.unit} {self.first_lines[reason]:,})"
            for reason, count in self.counts.items()
        ]


@dataclass(frozen=True, slots=True)
class Reader:
    """Takes the content of a line apart, or that of a message."""

    faults: Faults
    line: int
    now_ns: int

    def entries(self, content: Any) -> Iterator[Span | Event]:
        """The spans and events in the order in which they are written."""
        if not isinstance(content, dict) or not any(signal in content for signal in _SIGNALS):
            self._note("a line has neither resourceSpans nor resourceLogs, so it is not OTLP")
            return
        yield from self._of_signal(content, "resourceSpans", "scopeSpans", "spans", self._of_span)
        yield from self._of_signal(content, "resourceLogs", "scopeLogs", "logRecords", self._of_record)

    def _of_signal(
        self,
        content: Mapping[str, Any],
        resources: str,
        scopes: str,
        items: str,
        read: Callable[[Any, Attributes], list[Span | Event]],
    ) -> Iterator[Span | Event]:
        for group, item in self._items(content, resources, scopes, items):
            try:
                yield from read(item, group)
            except _RefusedError as refused:
                self._note(str(refused))
            except _MALFORMED:
                self._note(f"an entry of {items} is malformed")

    def _items(
        self, content: Mapping[str, Any], resources: str, scopes: str, items: str
    ) -> Iterator[tuple[Attributes, Any]]:
        """Every span or log record with the attributes of its resource."""
        try:
            for group in content.get(resources) or ():
                shared = _attributes((group.get("resource") or {}).get("attributes"))
                for scope in group.get(scopes) or ():
                    for item in scope.get(items) or ():
                        yield shared, item
        except _MALFORMED:
            self._note(f"an entry of {resources} is malformed")

    def _of_span(self, span: Any, shared: Attributes) -> list[Span | Event]:
        trace_id, span_id = _id(span["traceId"], _TRACE_ID), _id(span["spanId"], _SPAN_ID)
        parent = span.get("parentSpanId")
        start, end = self._instant(span.get("startTimeUnixNano")), self._instant_or_none(span.get("endTimeUnixNano"))
        if end is not None and end < start:
            raise _RefusedError("a span ends before it begins")
        made = Span(
            trace_id,
            span_id,
            _id(parent, _SPAN_ID) if parent else None,
            _text(shared.get("service.name")),
            str(span["name"]),
            start,
            end,
            (span.get("status") or {}).get("code") in _ERROR,
            shared | _attributes(span.get("attributes")),
        )
        return [made, *(self._event(event, made, shared) for event in span.get("events") or ())]

    def _event(self, event: Any, span: Span, shared: Attributes) -> Event:
        attributes = shared | _attributes(event.get("attributes"))
        return Event(
            span.trace_id,
            span.span_id,
            span.service,
            _text(event.get("name")),
            self._instant(event.get("timeUnixNano")),
            ERROR_TYPE in attributes,
            attributes,
            self.line,
        )

    def _of_record(self, record: Any, shared: Attributes) -> list[Span | Event]:
        pairs = [{"key": BODY, "value": record.get("body")}, *(record.get("attributes") or ())]
        attributes = shared | _values_within(pairs) | _attributes(pairs)
        made = Event(
            _id_or_none(record.get("traceId"), _TRACE_ID),
            _id_or_none(record.get("spanId"), _SPAN_ID),
            _text(shared.get("service.name")),
            # before events had a name, they had an attribute
            _text(record.get("eventName") or attributes.get("event.name")),
            self._instant_or_none(record.get("timeUnixNano")) or self._instant(record.get("observedTimeUnixNano")),
            _is_severe(record.get("severityNumber")) or ERROR_TYPE in attributes,
            attributes,
            self.line,
        )
        return [made]

    def _instant(self, value: Any) -> int:
        if (instant := self._instant_or_none(value)) is None:
            raise _RefusedError("a span or log record has no time")
        return instant

    def _instant_or_none(self, value: Any) -> int | None:
        """A time; 0 stands for none."""
        nanoseconds = int(value or 0)
        if nanoseconds > self.now_ns + _CLOCK_TOLERANCE_NS:
            raise _RefusedError("a time is in the future; the clock of the writer is wrong")
        return nanoseconds if nanoseconds > 0 else None

    def _note(self, reason: str) -> None:
        self.faults.note(reason, self.line)


class _RefusedError(Exception):
    """A span or a log record that cannot be used; the message is the reason."""


def _id(value: Any, form: re.Pattern[str]) -> str:
    if isinstance(value, str):
        if form.fullmatch(value):
            return value
        if form.fullmatch(value.lower()):
            return value.lower()
    raise _RefusedError("a trace or span id is not hexadecimal, as OTLP JSON requires")


def _id_or_none(value: Any, form: re.Pattern[str]) -> str | None:
    """The id of a log record, which need not belong to a span; one of zeros stands for none."""
    return _id(value, form) if value and value.strip("0") else None


def _is_severe(number: Any) -> bool:
    return isinstance(number, int) and number >= _ERROR_SEVERITY


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _attributes(pairs: Any) -> Attributes:
    found = {str(pair["key"]): _value(pair.get("value") or {}) for pair in pairs or ()}
    return {key: value for key, value in found.items() if value is not None}


def _values_within(pairs: Any) -> Attributes:
    """The values within maps, under the names of the map and of the value with a dot between them."""
    found: Attributes = {}
    for pair in pairs:
        inner = ((pair.get("value") or {}).get("kvlistValue") or {}).get("values")
        dotted = [{"key": f"{pair['key']}.{each['key']}", "value": each.get("value")} for each in inner or ()]
        found |= _values_within(dotted) | _attributes(dotted)
    return found


def _value(value: Mapping[str, Any]) -> Value | None:
    """The value of an AnyValue: 64-bit integers are texts in OTLP JSON, as are NaN and Infinity."""
    plain = _plain(value)
    if plain is None or isinstance(plain, str | float):
        return plain
    if isinstance(plain, int) and not isinstance(plain, bool):
        return float(plain) if abs(plain) <= _LARGEST_EXACT else str(plain)
    return json.dumps(plain, ensure_ascii=False)


def _plain(value: Mapping[str, Any]) -> Any:
    for kind, content in value.items():
        if kind in _SCALARS:
            return _SCALARS[kind](content)
        if kind == "arrayValue":
            return [_plain(each) for each in content.get("values") or ()]
        if kind == "kvlistValue":
            return {pair["key"]: _plain(pair.get("value") or {}) for pair in content.get("values") or ()}
    return None
