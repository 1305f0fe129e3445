"""Queries that show the shift behind an alert, ready for `driftlake sql`. Not here: running them."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

from driftlake.config import signal_of
from driftlake.drift.windows import Span, reference_spans
from driftlake.lake import schema
from driftlake.lake.queries import literal
from driftlake.maths.segments import ALL
from driftlake.vocabulary.signals import DRIFT_SOURCES, FEATURE, SignalSource

Row = Mapping[str, Any]
_KEYS = ("model_id", "model_version", "deployment", "segment", "feature", "window_days")


def query_of(alert: Row, day: date) -> str:
    """Text of a query: the distances of window and reference, or the rows from which the value was read."""
    source = signal_of(alert["signal"]).source
    columns = {column.name for table in schema.tables() if table.name == source.table for column in table.columns}
    if source in DRIFT_SOURCES and (against := _against(alert, day)) is not None:
        return _drift(alert, day, source, against)
    conditions = [f"dt = {_date(day)}"]
    for name in _KEYS:
        column = source.about if name == "feature" else name
        if column in columns and alert[name] is not None:
            conditions.append(f"{column} = {_value(alert[name])}")
    if source.condition:
        conditions.append(source.condition)
    return f"from {source.table} where {' and '.join(conditions)}"


def command_of(alert: Row, day: date) -> str:
    """The query as a shell command, in which values from telemetry are safely quoted."""
    return f"driftlake sql {shell_word(query_of(alert, day))}"


def shell_word(text: str) -> str:
    """A text as one shell word, in double quotes where that is safe and else in single quotes, which are harder to read."""
    return shlex.quote(text) if set(text) & set('$`\\"!') else f'"{text}"'


def _drift(alert: Row, day: date, source: SignalSource, against: list[str]) -> str:
    first_day = day - timedelta(days=alert["window_days"] - 1)
    arguments = [literal(alert["model_id"]), literal(alert["model_version"]), _date(first_day), _date(day), *against]
    if alert["deployment"] != "production":
        arguments.append(f"deployment_name := {literal(alert['deployment'])}")
    if alert["segment"] != ALL:
        arguments.append(f"segment_name := {literal(alert['segment'])}")
    feature = alert["feature"] if source.about == FEATURE else "score"
    return f"from drift_between({', '.join(arguments)}) where feature = {literal(feature)}"


def _against(alert: Row, day: date) -> list[str] | None:
    """Arguments for the reference; None if only the stored rows have it."""
    reference = alert["reference"]
    if reference == "training":
        return []
    if reference not in ("preceding", "four_weeks_before"):
        return None
    days = reference_spans(reference, Span.window(day, alert["window_days"])).whole
    last_day = days.end - timedelta(days=1)
    return ["against := 'period'", f"against_from := {_date(days.first)}", f"against_to := {_date(last_day)}"]


def _date(day: date) -> str:
    return f"date '{day}'"


def _value(value: object) -> str:
    return literal(value) if isinstance(value, str) else str(value)
