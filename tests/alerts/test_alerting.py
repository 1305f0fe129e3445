"""Alerts are computed from the result tables alone, and the message of each says what happened."""

from __future__ import annotations

import pytest
from data import Row, day, insert, model_version, noon
from result_rows import BACKLOG, BACKLOG_ROWS, CHECK, DRIFT, LEVELS, LOSS, QUALITY, SHADOW, raised, rule

from driftlake.alerts.rules import fired, unknown_names, with_messages
from driftlake.config import AlertRule, default_alerts
from driftlake.lake.warehouse import Warehouse
from driftlake.maths.binning import probability_bins


@pytest.mark.parametrize(
    ("table", "rows", "watch", "sentence"),
    [
        (
            "feature_drift",
            [DRIFT | {"feature": "age"}],
            rule("feature_drift.psi", 0.1, 0.25),
            (
                "age of credit v1 (production) drifted from training: population stability index 0.3 over 7 days"
                " (critical from 0.25; 1,000 rows), since 2024-03-01 (1 day)"
            ),
        ),
        (
            "feature_drift",
            [DRIFT | {"feature": "age", "statistic": "missing_rate_change", "value": -0.123, "window_days": 1}],
            rule("feature_drift.missing_rate_change", 0.05, 0.2, window_days=1),
            (
                "the share of missing age of credit v1 (production) changed by 12.3 percentage points"
                " against training on the day (warn from 5.0 percentage points; 1,000 rows), since 2024-03-01 (1 day)"
            ),
        ),
        (
            "prediction_drift",
            [DRIFT | {"statistic": "js_distance", "value": 0.2}],
            rule("prediction_drift.js_distance", 0.13, 0.21),
            (
                "scores of credit v1 (production) drifted from training: Jensen-Shannon distance 0.2 over 7 days"
                " (warn from 0.13; 1,000 rows), since 2024-03-01 (1 day)"
            ),
        ),
        (
            "model_quality",
            [QUALITY],
            rule("model_quality.auc_drop", 0.03, 0.08, window_days=28),
            (
                "the AUC of credit v1 (production) is 0.06 below its baseline over 28 days"
                " (warn from 0.03; 1,200 rows), since 2024-03-01 (1 day)"
            ),
        ),
        (
            "model_quality",
            [
                QUALITY
                | {"statistic": "positive_rate", "value": 0.31, "baseline_value": 0.2, "drop_from_baseline": None}
            ],
            rule("model_quality.positive_rate_change", 0.1, 0.2, window_days=28),
            (
                "the share of positive labels of credit v1 (production) differs from training by 11.0 percentage"
                " points over 28 days (warn from 10.0 percentage points; 1,200 rows), since 2024-03-01 (1 day)"
            ),
        ),
        (
            "model_quality",
            [QUALITY | {"statistic": "mean_absolute_error", "baseline_value": 0.5, "drop_from_baseline": 0.1}],
            rule("model_quality.absolute_error_increase", 0.1, 0.3, window_days=28),
            (
                "the mean absolute error of credit v1 (production) is 20.0% above that in training over 28 days"
                " (warn from 10.0%; 1,200 rows), since 2024-03-01 (1 day)"
            ),
        ),
        (
            "shadow_comparison",
            [SHADOW],
            rule("shadow_comparison.disagreement_share", 0.1, 0.3, window_days=7),
            (
                "credit v2 (shadow) and v1 in production disagree on 20.0% of the same predictions over 7 days"
                " (warn from 10.0%; 1,000 rows), since 2024-03-01 (1 day)"
            ),
        ),
        (
            "shadow_comparison",
            [SHADOW | LOSS],
            rule("shadow_comparison.auc_loss", 0.02, 0.1, window_days=7),
            (
                "the AUC of credit v2 (shadow) is 0.05 below that of v1 in production on the same labels over 7 days"
                " (warn from 0.02; 400 rows), since 2024-03-01 (1 day)"
            ),
        ),
        (
            "label_backlog",
            BACKLOG_ROWS,
            rule("label_backlog.overdue_share", 0.05, 0.15),
            (
                "10.0% of the predictions of credit v1 (production) have been without a label for longer than expected"
                " (warn from 5.0%; 1,000 rows), since 2024-03-01 (1 day)"
            ),
        ),
        (
            "service_levels",
            [LEVELS],
            rule("service_levels.p95_ms", 100, 200),
            (
                "the 95th percentile of latency_ms of credit v1 (production) is 150 ms"
                " (warn from 100 ms; 1,000 rows), since 2024-03-01 (1 day)"
            ),
        ),
        (
            "contract_checks",
            [CHECK],
            rule("contract_checks.failed", 1, 1),
            "10 scores are above 1, since 2024-03-01 (1 day)",
        ),
    ],
    ids=[
        "psi",
        "missing values",
        "scores",
        "auc",
        "positive rate",
        "error",
        "disagreement",
        "auc loss",
        "labels",
        "latency",
        "contract",
    ],
)
def test_an_alert_says_what_happened(
    memory: Warehouse, table: str, rows: list[Row], watch: AlertRule, sentence: str
) -> None:
    insert(memory.connection, table, [{"dt": day(1)} | row for row in rows])
    assert [alert["message"] for alert in raised(memory, watch)] == [sentence]


def given_backlog(memory: Warehouse, *numbers: int) -> None:
    insert(memory.connection, "label_backlog", [{"dt": day(n)} | row for n in numbers for row in BACKLOG_ROWS])


def test_an_alert_says_when_it_began(memory: Warehouse) -> None:
    given_backlog(memory, 1, 2, 3)
    assert raised(memory, rule("label_backlog.overdue_share", 0.05, 0.15))[-1]["message"].endswith(
        ", since 2024-03-01 (3 days)"
    )


def test_raising_the_alerts_of_a_day_again_gives_the_same_rows(memory: Warehouse) -> None:
    given_backlog(memory, 1, 2, 3)
    watch = rule("label_backlog.overdue_share", 0.05, 0.15, consecutive_days=2)
    assert raised(memory, watch, last=3) == raised(memory, watch, last=2) + [
        alert for alert in raised(memory, watch) if alert["dt"] == day(3)
    ]


@pytest.mark.parametrize(
    ("table", "row", "watch"),
    [
        (
            "feature_drift",
            DRIFT | {"feature": "age", "outcome": "insufficient_data"},
            rule("feature_drift.psi", 0.1, 0.25),
        ),
        (
            "model_quality",
            QUALITY | {"drop_from_baseline": 0.04, "confidence_low": 0.8, "confidence_high": 0.9},
            rule("model_quality.auc_drop", 0.03, 0.08, window_days=28),
        ),
        ("model_quality", QUALITY | {"statistic": "log_loss"}, rule("model_quality.auc_drop", 0.03, 0.08)),
        ("label_backlog", BACKLOG | {"age_bucket": "0"}, rule("label_backlog.overdue_share", 0.05, 0.15)),
        ("label_backlog", BACKLOG, rule("label_backlog.overdue_share", 0.05, 0.15)),
        ("contract_checks", CHECK | {"severity": "warning"}, rule("contract_checks.failed", 1, 1)),
        ("contract_checks", CHECK | {"outcome": "passed"}, rule("contract_checks.failed", 1, 1)),
    ],
    ids=[
        "insufficient data",
        "inside the interval",
        "other statistic",
        "one age",
        "no predictions on the day",
        "warning",
        "passed",
    ],
)
def test_values_that_are_not_signals_raise_nothing(memory: Warehouse, table: str, row: Row, watch: AlertRule) -> None:
    insert(memory.connection, table, [{"dt": day(1)} | row])
    assert raised(memory, watch) == []


def test_the_default_rules_need_three_days_of_drift(memory: Warehouse) -> None:
    insert(memory.connection, "feature_drift", [{"dt": day(n)} | DRIFT | {"feature": "age"} for n in (1, 2, 3)])
    assert [(alert["dt"], alert["rule"], alert["severity"]) for alert in raised(memory, *default_alerts(), last=3)] == [
        (day(3), "feature-drift", "critical")
    ]


def test_a_resolved_alert_says_so(memory: Warehouse) -> None:
    given_backlog(memory, 1, 2)
    insert(memory.connection, "label_backlog", [row | {"dt": day(3), "overdue_share": 0.03} for row in BACKLOG_ROWS])
    over = fired(memory, [rule("label_backlog.overdue_share", 0.05, 0.15)], first_day=day(3), last_day=day(3))
    [alert] = with_messages(over).to_pylist()
    assert (alert["state"], alert["message"].rpartition(", ")[2]) == ("resolved", "resolved after 2 days")


def test_an_alert_says_since_when_its_signal_has_no_value(memory: Warehouse) -> None:
    given_backlog(memory, 1)
    watch = rule("label_backlog.overdue_share", 0.05, 0.15, resolve_after_days=3)
    assert [alert["message"].rpartition("; ")[2] for alert in raised(memory, watch)][1:] == [
        "no value after 2024-03-01",
        "no value after 2024-03-01",
    ]


def test_owner_and_runbook_of_the_rule_are_on_the_alert(memory: Warehouse) -> None:
    given_backlog(memory, 1)
    watch = rule("label_backlog.overdue_share", 0.05, 0.15, owner="risk team", runbook="docs/labels.md")
    assert [(alert["owner"], alert["runbook"]) for alert in raised(memory, watch)] == [("risk team", "docs/labels.md")]


def test_the_worst_alert_comes_first_in_the_view_and_in_the_report(memory: Warehouse) -> None:
    levels = {"small": 0.12, "huge": 3.0, "large": 0.3}
    insert(
        memory.connection,
        "feature_drift",
        [{"dt": day(1)} | DRIFT | {"feature": f, "value": v} for f, v in levels.items()],
    )
    alerts = with_messages(fired(memory, [rule("feature_drift.psi", 0.1, 0.25)], first_day=day(1), last_day=day(1)))
    with memory.registered(new_alerts=alerts):
        memory.connection.execute("insert into alerts by name select * from new_alerts")
    run = {"dt": day(1), "run_id": "r", "outcome": "complete", "row_count": 3, "code_version": "0"}
    run |= {"started_at": noon(1), "committed_at": noon(1), "config_hash": "h", "snapshot_id": 1}
    insert(memory.connection, "partition_runs", [run | {"stage": stage} for stage in ("profiles", "alerts")])
    worst_first = ["huge", "large", "small"]
    assert memory.query("report/alerts", day=day(1), smallest_cell=1)["feature"].to_pylist() == worst_first
    assert memory.sql("select feature from open_alerts")["feature"].to_pylist() == worst_first


def test_a_loss_of_auc_inside_its_interval_raises_no_alert(memory: Warehouse) -> None:
    insert(
        memory.connection,
        "shadow_comparison",
        [SHADOW | LOSS | {"dt": day(1), "confidence_low": -0.2, "confidence_high": 0.1}],
    )
    assert raised(memory, rule("shadow_comparison.auc_loss", 0.02, 0.1)) == []


def test_a_rule_that_names_an_unknown_model_or_feature_gets_a_remark() -> None:
    rules = [rule("feature_drift.psi", 0.1, 0.2, features=["age", "agee"], models=["debit"])]
    assert unknown_names(rules, [model_version([probability_bins("age")])]) == [
        "rule watch names model debit, which no registered version has, so it matches nothing there",
        "rule watch names feature agee, which no registered version has, so it matches nothing there",
    ]
