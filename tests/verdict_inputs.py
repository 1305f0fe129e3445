"""What the report knows about a version, an alert and the runs of a day. Not here: the verdict (test_reporting.py)."""

from __future__ import annotations

from typing import Any

from data import GROUP, Row, day

FACTS: Row = GROUP | {
    "last_predicted_on": day(1),
    "prediction_count": 500,
    "drift_count": 0,
    "warn_count": 0,
    "unjudged_count": 0,
    "feature_count": 3,
    "worst_feature": "income",
    "worst_psi": 0.01,
    "unjudged_reason": None,
    "quality_statistic": "auc",
    "quality": 0.8,
    "quality_reason": None,
    "quality_drop": -0.01,
    "overdue_share": 0.0,
    "verdict": "well",
    "verdict_sentence": "No alert is open.",
    "is_performance_mentioned": False,
}
ALERT: Row = GROUP | {
    "signal": "feature_drift.psi",
    "severity": "warn",
    "rule": "feature-drift",
    "feature": "income",
    "value": 0.2,
}
RUNS: dict[str, Any] = {"profiles": {"outcome": "complete"}, "alerts": {"outcome": "complete"}}
