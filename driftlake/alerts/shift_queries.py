"""The query that shows what an alert is about, ready for `driftlake sql`. Not here: running it."""

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
    """Text of a query: the distance itself, window against reference, or the rows that the value was read from."""
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
    """The query as a command for a shell: what comes from telemetry is text in it, whatever it looks like."""
    return f"driftlake sql {shell_word(query_of(alert, day))}"


def shell_word(text: str) -> str:
    """A text as one word for a shell, in double quotes where that is safe and in single ones, which read worse, where not."""
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
    """Arguments that say what is compared with; None if only the stored rows know."""
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
