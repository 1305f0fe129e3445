"""Evaluates rules over signals: rows of alerts, with a message for people.

Alerts are derived from result tables alone, so evaluating a day again gives the same rows. Not here: delivery,
what signals there are (`driftlake.vocabulary.signals`), their values and the comparison (sql/signals/, sql/alerts/alerts.sql), and
how a number is written (`driftlake.vocabulary.wording`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

import pyarrow as pa

from driftlake.config import AlertRule, signal_of
from driftlake.lake.warehouse import Warehouse
from driftlake.lineage.versions import ModelVersion
from driftlake.maths.segments import ALL
from driftlake.vocabulary.signals import FEATURE, SLO_STATUS
from driftlake.vocabulary.wording import counted, in_unit, version_name


def with_messages(alerts: pa.Table) -> pa.Table:
    """Alerts with a message built from their `detail`, which it replaces."""
    messages = [_message(row) for row in alerts.to_pylist()]
    return alerts.drop_columns(["detail", "whole_count"]).append_column("message", pa.array(messages, pa.string()))


def fired(
    warehouse: Warehouse, rules: Sequence[AlertRule], *, first_day: date, last_day: date, holidays: Sequence[date] = ()
) -> pa.Table:
    """Rows of sql/alerts/alerts.sql: the alerts of each day, with the `detail` for the message.

    Few predictions on `holidays` are not a loss.
    """
    signals = [rule.signal for rule in rules]
    # without rules, any source will do: none of its signals is watched
    sources = {rule.signal_record.source.name for rule in rules} or {SLO_STATUS.name}
    with warehouse.registered(alert_rules=_rule_rows(rules)):
        watched = warehouse.query_signals(
            "alerts/watched_signals", sources, signals=signals, last_day=last_day, holidays=list(holidays)
        )
    with warehouse.registered(watched_signals=watched):
        jumps = warehouse.query("alerts/rule_jumps")
        with warehouse.registered(rule_jumps=jumps):
            return warehouse.query("alerts/alerts", first_day=first_day, last_day=last_day)


def unknown_names(rules: Iterable[AlertRule], versions: Iterable[ModelVersion]) -> list[str]:
    """Sentences about models and features that rules name but no version has."""
    models: set[str] = set()
    features: set[str] = set()
    for version in versions:
        models.add(version.model_id)
        features.update(version.features)
    remarks = []
    for rule in rules:
        named = {"model": set(rule.models) - models}
        if rule.signal_record.source.about == FEATURE:
            named["feature"] = {*rule.features, *rule.except_features} - features
        remarks += [
            f"rule {rule.name} names {what} {name}, which no registered version has, so it matches nothing there"
            for what, names in named.items()
            for name in sorted(names)
        ]
    return remarks


def _rule_rows(rules: Sequence[AlertRule]) -> pa.Table:
    rows = [
        {
            **rule.model_dump(),
            "kind": rule.effective_kind,
            "pages": rule.is_paging,
            "reference_names": rule.references,
            "resolve": rule.resolve_below,
            "resolve_after_days": rule.effective_resolve_after_days,
            "is_windowed": rule.signal_record.source.windows is not None,
        }
        for rule in rules
    ]
    return pa.Table.from_pylist(
        rows,
        schema=pa.schema(
            [
                ("name", pa.string()),
                ("signal", pa.string()),
                ("window_days", pa.int32()),
                ("warn", pa.float64()),
                ("critical", pa.float64()),
                ("minimum_sample", pa.int64()),
                ("consecutive_days", pa.int32()),
                ("resolve", pa.float64()),
                ("resolve_after_days", pa.int32()),
                ("models", pa.list_(pa.string())),
                ("features", pa.list_(pa.string())),
                ("except_features", pa.list_(pa.string())),
                ("deployments", pa.list_(pa.string())),
                ("reference_names", pa.list_(pa.string())),
                ("opening_reference", pa.string()),
                ("each_segment", pa.bool_()),
                ("segments", pa.list_(pa.string())),
                ("kind", pa.string()),
                ("pages", pa.bool_()),
                ("owner", pa.string()),
                ("runbook", pa.string()),
                ("is_windowed", pa.bool_()),
            ]
        ),
    )


def _message(alert: Mapping[str, Any]) -> str:
    if alert["detail"]:
        return f"{alert['detail'].rstrip('.')}{_since(alert)}"
    limit = f"{alert['severity']} from {in_unit(alert['threshold'], signal_of(alert['signal']).unit)}"
    return f"{_description(alert)} ({limit}; {counted(alert['sample_count'], 'row')}){_since(alert)}"


def _description(alert: Mapping[str, Any]) -> str:
    signal = signal_of(alert["signal"])
    if signal.sentence is None:
        raise ValueError(f"sql/signals/{signal.source.name}.sql has no detail of {signal.name}")
    who = version_name(alert)
    if alert["segment"] not in {None, ALL}:
        who += f", {alert['segment']},"
    return signal.sentence.format(
        who=who,
        feature=alert["feature"],
        value=in_unit(alert["value"], signal.unit),
        days=f"over {counted(alert['window_days'], 'day')}" if alert["window_days"] > 1 else "on the day",
        reference=_REFERENCES.get(alert["reference"], f"the reference {alert['reference']}"),
        measure=signal.measure,
    )


_REFERENCES = {
    "training": "training",
    "preceding": "the window before",
    "four_weeks_before": "the same weekdays four weeks before",
}


def _since(alert: Mapping[str, Any]) -> str:
    if alert["state"] == "resolved":
        return f", resolved after {counted(alert['consecutive_days'] - 1, 'day')}"
    silence = "" if alert["valued_on"] == alert["dt"] else f"; no value after {alert['valued_on']}"
    return f", since {alert['since_on']} ({counted(alert['consecutive_days'], 'day')}){silence}"
