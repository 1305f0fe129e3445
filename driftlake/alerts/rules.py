"""Rules over signals: rows of alerts, with the sentence a person reads.

An alert is derived from result tables alone, so any day can be raised again and gives the same rows. Not here:
delivery, how a number is written (vocabulary/wording.py), and the comparison itself (sql/views/sli_history.sql, sql/alerts.sql).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

import pyarrow as pa

from driftlake.config import WINDOWED_SOURCES, AlertRule
from driftlake.lake.warehouse import Warehouse
from driftlake.lineage.versions import ModelVersion
from driftlake.maths.segments import ALL
from driftlake.vocabulary.wording import counted, signal_value, version_name


def raise_alerts(warehouse: Warehouse, rules: Sequence[AlertRule], *, first_day: date, last_day: date) -> pa.Table:
    """Rows of alerts for every day from `first_day` to `last_day`."""
    return with_messages(fired(warehouse, rules, first_day=first_day, last_day=last_day))


def with_messages(alerts: pa.Table) -> pa.Table:
    """Alerts with the sentence that a person reads in place of the detail that it is made of."""
    messages = [_message(row) for row in alerts.to_pylist()]
    return alerts.drop_columns(["detail", "whole_count"]).append_column("message", pa.array(messages, pa.string()))


def fired(warehouse: Warehouse, rules: Sequence[AlertRule], *, first_day: date, last_day: date) -> pa.Table:
    """Rows of sql/alerts.sql: what the rules say of each day, with the detail that a sentence is made of."""
    signals = [rule.signal for rule in rules]
    with warehouse.offered(alert_rules=_rule_rows(rules)):
        watched = warehouse.query("watched_signals", signals=signals, last_day=last_day)
    with warehouse.offered(watched_signals=watched):
        jumps = warehouse.query("rule_jumps")
        with warehouse.offered(rule_jumps=jumps):
            return warehouse.query("alerts", first_day=first_day, last_day=last_day)


def unknown_names(rules: Iterable[AlertRule], versions: Iterable[ModelVersion]) -> list[str]:
    """Sentences on models and features that rules name and no version has: such a rule watches nothing there."""
    models: set[str] = set()
    features: set[str] = set()
    for version in versions:
        models.add(version.model_id)
        features.update(version.features)
    remarks = []
    for rule in rules:
        named = {"model": set(rule.models) - models}
        if rule.source == "feature_drift":
            named["feature"] = {*rule.features, *rule.except_features} - features
        remarks += [
            f"rule {rule.name} names {what} {name}, which no registered version has: it watches nothing there"
            for what, names in named.items()
            for name in sorted(names)
        ]
    return remarks


def _rule_rows(rules: Sequence[AlertRule]) -> pa.Table:
    rows = [
        {
            **rule.model_dump(),
            "reference_names": rule.references,
            "resolve": rule.resolve_below,
            "resolve_after_days": rule.patience_days,
            "is_windowed": rule.source in WINDOWED_SOURCES,
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
                ("owner", pa.string()),
                ("runbook", pa.string()),
                ("is_windowed", pa.bool_()),
            ]
        ),
    )


def _message(alert: Mapping[str, Any]) -> str:
    if alert["detail"]:
        return f"{alert['detail'].rstrip('.')}{_since(alert)}"
    limit = f"{alert['severity']} from {signal_value(alert['signal'], alert['threshold'])}"
    return f"{_what_happened(alert)} ({limit}; {counted(alert['sample_count'], 'row')}){_since(alert)}"


def _what_happened(alert: Mapping[str, Any]) -> str:
    who = version_name(alert)
    if alert["segment"] not in {None, ALL}:
        who += f", {alert['segment']},"
    value = signal_value(alert["signal"], alert["value"])
    days = f"over {counted(alert['window_days'], 'day')}" if alert["window_days"] > 1 else "on the day"
    source, _, measured = alert["signal"].partition(".")
    reference = _REFERENCES.get(alert["reference"], f"the reference {alert['reference']}")
    statistic = _NAMES.get(measured, measured.replace("_", " "))
    match source, measured:
        case "feature_drift", _:
            feature = f"{alert['feature']} of {who}"
            if share := _SHARES.get(measured):
                return f"the share of {share} {feature} changed by {value} against {reference} {days}"
            return f"{feature} drifted from {reference}: {statistic} {value} {days}"
        case "prediction_drift" | "importance_drift", _:
            what = "scores" if source == "prediction_drift" else "importance of the features"
            return f"{what} of {who} drifted from {reference}: {statistic} {value} {days}"
        case _:
            return _SENTENCES[measured].format(who=who, feature=alert["feature"], value=value, days=days)


_SENTENCES = {
    "auc_drop": "the AUC of {who} is {value} below its baseline {days}",
    "estimated_auc_drop": "the AUC of {who} is estimated {value} below its baseline {days}",
    "positive_rate_change": "the share of positive labels of {who} is {value} away from that in training {days}",
    "absolute_error_increase": "the mean absolute error of {who} is {value} above that in training {days}",
    "overdue_share": "{value} of the predictions of {who} wait for a label longer than expected",
    "p95_ms": "the 95th percentile of {feature} of {who} is {value}",
    "error_shift": "the features of {who} have moved from training together: their PCA reconstruction error is {value} away {days}",
    "disagreement_share": "{who} and {feature} in production disagree on {value} of the same predictions {days}",
    "auc_loss": "the AUC of {who} is {value} below that of {feature} in production on the same labels {days}",
}
_NAMES = {
    "psi": "population stability index",
    "kl_divergence": "Kullback-Leibler divergence",
    "js_distance": "Jensen-Shannon distance",
    "ks_distance": "Kolmogorov-Smirnov distance",
    "ndcg_loss": "loss of NDCG",
}
_SHARES = {
    "missing_rate_change": "missing",
    "below_range_change": "values below the training range of",
    "above_range_change": "values above the training range of",
    "unseen_change": "unseen categories of",
}
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
