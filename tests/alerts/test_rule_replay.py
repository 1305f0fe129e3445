"""Replaying rules on history gives their alerts, and thresholds for a wanted number of alerts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from data import GROUP, Row, day, insert, write_project

from driftlake.alerts.rule_replay import read_rules, replay_rules, suggest
from driftlake.alerts.rules import fired, with_messages
from driftlake.config import AlertRule, Settings
from driftlake.errors import ConfigurationError
from driftlake.lake.warehouse import Warehouse

DRIFT: Row = GROUP | {
    "window_days": 7,
    "reference": "training",
    "statistic": "psi",
    "noise_floor": 0.01,
    "current_count": 1000,
    "current_day_count": 7,
    "reference_count": 5000,
    "outcome": "drift",
}


def rule(warn: float, **changes: Any) -> AlertRule:
    return AlertRule.model_validate(
        {"name": "drift", "signal": "feature_drift.psi", "warn": warn, "critical": 10 * warn, "resolve_after_days": 1}
        | changes
    )


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return write_project(tmp_path / "project", features=["x"], training={"x": [0.0, 1.0], "score": [0.1, 0.9]})


@pytest.fixture
def history(memory: Warehouse) -> Warehouse:
    """Two features over thirty days: one drifts on days 5 and 6, both on day 20."""
    values = {("x", 5): 0.3, ("x", 6): 0.3, ("x", 20): 0.8, ("y", 20): 0.5}
    for (feature, number), value in values.items():
        insert(memory.connection, "feature_drift", [DRIFT | {"dt": day(number), "feature": feature, "value": value}])
    alerts = with_messages(fired(memory, [rule(0.4)], first_day=day(1), last_day=day(30)))
    with memory.registered(raised=alerts):
        memory.connection.execute("insert into alerts by name select * from raised")
    return memory


def test_openings_count_runs_of_days_and_features_of_a_day_once(history: Warehouse) -> None:
    [found] = replay_rules(history, [rule(0.2)], day(1), day(30)).openings.to_pylist()
    assert found == {"rule": "drift", "alert_count": 4, "day_count": 3, "opening_count": 2}


def test_differences_name_what_is_new_and_what_is_gone(history: Warehouse) -> None:
    def changes(warn: float) -> list[tuple[Any, ...]]:
        rows = replay_rules(history, [rule(warn)], day(1), day(30)).differences.to_pylist()
        return [(row["dt"], row["change"], row["feature"]) for row in rows]

    assert changes(0.2) == [
        (day(5), "new", "x"),
        (day(6), "new", "x"),
        (day(20), "same", "x"),
        (day(20), "same", "y"),
    ]
    assert changes(0.6) == [(day(20), "gone", "y"), (day(20), "same", "x")]


def test_a_suggested_threshold_opens_at_most_as_often_as_wanted(history: Warehouse, settings: Settings) -> None:
    [suggestion] = suggest(history, settings, [rule(0.2)], day(1), day(30), per_month=1.2)
    assert (round(suggestion.openings_per_month, 1), suggestion.warn, suggestion.critical) == (
        2.0,
        0.5,
        pytest.approx(5.0),
    )
    assert suggestion.suggested_per_month == pytest.approx(365.25 / 12 / 30)
    [kept] = suggest(history, settings, [rule(0.2)], day(1), day(30), per_month=5)
    assert kept.warn == 0.2


def test_no_threshold_is_suggested_above_all_values_of_history(history: Warehouse, settings: Settings) -> None:
    [suggestion] = suggest(history, settings, [rule(0.2)], day(1), day(30), per_month=0.5)
    assert (suggestion.warn, suggestion.critical, suggestion.suggested_per_month) == (None, None, None)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("alerts: []", "alerts"),
        ("rules: []", "unknown key"),
        ("alerts: [{name: a, signal: feature_drift.psy, warn: 1, critical: 2}]", "there is no statistic 'psy'"),
        ("alerts: [{name: a, signal: feature_drift.psi, window_days: 9, warn: 1, critical: 2}]", "found 9"),
    ],
)
def test_a_file_of_rules_that_cannot_be_used_says_why(tmp_path: Path, settings: Settings, text: str, says: str) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=says):
        read_rules(path, settings)


def test_a_missing_file_of_rules_is_named(tmp_path: Path, settings: Settings) -> None:
    with pytest.raises(ConfigurationError, match="there is no rules file"):
        read_rules(tmp_path / "nowhere.yaml", settings)
