"""A row of each result table that alerts are raised from, and the alerts that rules raise from stored rows.

Not here: which rows should raise an alert (test_alerting.py).
"""

from __future__ import annotations

from typing import Any

from data import GROUP, MODEL, Row, day

from driftlake.alerts.rules import fired, with_messages
from driftlake.config import AlertRule
from driftlake.lake.warehouse import Warehouse

DRIFT: Row = GROUP | {
    "window_days": 7,
    "reference": "training",
    "statistic": "psi",
    "value": 0.3,
    "noise_floor": 0.01,
    "current_count": 1000,
    "current_day_count": 7,
    "reference_count": 5000,
    "outcome": "drift",
}
QUALITY: Row = GROUP | {
    "window_days": 28,
    "statistic": "auc",
    "value": 0.84,
    "confidence_low": 0.82,
    "confidence_high": 0.86,
    "prediction_count": 2000,
    "label_count": 1200,
    "positive_count": 600,
    "negative_count": 600,
    "baseline_value": 0.9,
    "drop_from_baseline": 0.06,
    "outcome": "measured",
}
BACKLOG: Row = GROUP | {
    "age_bucket": "all",
    "age_from_days": 0,
    "prediction_count": 1000,
    "labelled_count": 800,
    "outstanding_count": 200,
    "overdue_count": 100.0,
    "overdue_share": 0.1,
    "growth_count": 10,
}
SHADOW: Row = MODEL | {
    "model_version": "v2",
    "deployment": "shadow",
    "production_version": "v1",
    "window_days": 7,
    "statistic": "agreement_share",
    "value": 0.8,
    "paired_count": 1000,
    "outcome": "measured",
}
LOSS: Row = {"statistic": "auc_difference", "value": -0.05, "confidence_low": -0.09, "confidence_high": -0.01} | {
    "positive_count": 100,
    "negative_count": 300,
}
# All ages, and the predictions of the day; a version without predictions raises no alert on its backlog.
BACKLOG_ROWS = [BACKLOG, BACKLOG | {"age_bucket": "0"}]
LEVELS: Row = GROUP | {"metric": "latency_ms", "row_count": 1000, "p50_ms": 20.0, "p95_ms": 150.0, "p99_ms": 200.0}
CHECK: Row = MODEL | {
    "source": "telemetry",
    "expectation": "score_is_a_probability",
    "column_name": "score",
    "severity": "error",
    "outcome": "failed",
    "checked_count": 1000,
    "unexpected_count": 10,
    "message": "10 scores are above 1",
}


def rule(signal: str, warn: float, critical: float, **limits: Any) -> AlertRule:
    # a day without a value ends an alert, so that the days of an alert are those given
    watch = {"name": "watch", "signal": signal, "warn": warn, "critical": critical, "resolve_after_days": 1}
    return AlertRule.model_validate(watch | limits)


def raised(memory: Warehouse, *rules: AlertRule, last: int = 9) -> list[Row]:
    found = with_messages(fired(memory, rules, first_day=day(1), last_day=day(last))).to_pylist()
    return [dict(row) for row in found if row["state"] != "resolved"]
