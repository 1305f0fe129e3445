"""Acknowledging, snoozing and muting marks incidents for a limited time and deletes nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from data import MODEL, Row, day, insert, noon, write_project

from driftlake.alerts.acknowledgements import RecordedAction, record_action
from driftlake.config import Settings
from driftlake.errors import ConfigurationError
from driftlake.lake.warehouse import Warehouse
from driftlake.report.terminal import incident_lines

INCIDENT: Row = {
    "incident_id": "3f9a",
    "model_id": "credit",
    "state": "ongoing",
    "severity": "warn",
    "opened_on": day(1),
    "since_on": day(1),
    "alert_count": 1,
    "model_versions": ["v1"],
    "cause": "missing_values",
    "title": "credit: 30% of a is missing",
    "evidence": ["50 predictions on the day"],
    "rule": "feature-break",
}
ALERT: Row = MODEL | {
    "signal": "feature_drift.psi",
    "severity": "warn",
    "value": 0.2,
    "threshold": 0.1,
    "sample_count": 10,
    "since_on": day(1),
    "consecutive_days": 1,
    "message": "a drifted",
    "incident_id": "3f9a",
    "state": "ongoing",
}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return write_project(tmp_path / "project", features=["x"], training={"x": [0.0, 1.0], "score": [0.1, 0.9]})


@pytest.fixture
def history(memory: Warehouse) -> Warehouse:
    """An incident of days 1 to 5 with alerts of two rules; day 2 is the newest processed day."""
    insert(memory.connection, "incidents", [INCIDENT | {"dt": day(n)} for n in range(1, 6)])
    rules = ("feature-break", "feature-drift")
    insert(memory.connection, "alerts", [ALERT | {"dt": day(n), "rule": rule} for n in range(1, 6) for rule in rules])
    run = {"dt": day(2), "stage": "profiles", "run_id": "r", "outcome": "complete", "row_count": 3, "code_version": "0"}
    times = {"started_at": noon(1), "committed_at": noon(1)}
    insert(memory.connection, "partition_runs", [run | times | {"config_hash": "h", "snapshot_id": 1}])
    return memory


def recorded(
    history: Warehouse, settings: Settings, action: Any, target: str, until: int, *, hour: int = 0
) -> RecordedAction:
    at = datetime(2024, 3, 2, tzinfo=UTC) + timedelta(hours=hour)
    return record_action(
        history, settings, action, target, until_on=day(until), reason="known", acted_by="ann", acted_at=at
    )


def told_on(history: Warehouse) -> list[int]:
    rows = history.sql("select dt from incident_history where is_notified order by dt")
    return [row["dt"].day for row in rows.to_pylist()]


def test_a_muted_incident_is_notified_again_after_its_end(history: Warehouse, settings: Settings) -> None:
    recorded(history, settings, "mute", "3f", 4)
    assert told_on(history) == [1, 5]
    assert history.sql("from incidents").num_rows == 5


def test_an_end_before_the_newest_day_cancels_the_action(history: Warehouse, settings: Settings) -> None:
    recorded(history, settings, "mute", "3f9a", 4)
    recorded(history, settings, "mute", "3f9a", 1, hour=1)
    assert told_on(history) == [1, 2, 3, 4, 5]
    assert history.sql("from alert_actions").num_rows == 2


def test_an_incident_is_silenced_by_its_rules_only_if_each_of_them_is(history: Warehouse, settings: Settings) -> None:
    recorded(history, settings, "mute", "feature-break", 4)
    assert told_on(history) == [1, 2, 3, 4, 5]
    recorded(history, settings, "snooze", "feature-drift", 3)
    assert told_on(history) == [1, 4, 5]


def test_an_acknowledged_incident_is_notified_when_it_escalates_and_resolves(
    history: Warehouse, settings: Settings
) -> None:
    recorded(history, settings, "ack", "3f9a", 9)
    assert told_on(history) == [1]
    history.connection.execute("update incidents set severity = 'critical' where dt = ?", [day(4)])
    history.connection.execute("update incidents set state = 'resolved' where dt = ?", [day(5)])
    assert told_on(history) == [1, 4, 5]


def test_planned_downtime_sends_no_notices(history: Warehouse) -> None:
    history.connection.execute("update incidents set downtime = 'migration' where dt = ?", [day(3)])
    assert told_on(history) == [1, 2, 4, 5]


def test_the_list_has_incidents_first_with_their_actions(history: Warehouse, settings: Settings) -> None:
    recorded(history, settings, "ack", "3f9a", 4)
    incidents = history.query("report/incidents", day=day(2)).to_pylist()
    alerts = history.query("report/alerts", day=day(2), smallest_cell=1).to_pylist()
    assert list(incident_lines(incidents, alerts)) == [
        "warn     3f9a  credit: 30% of a is missing, since 2024-03-01",
        "         acknowledged until 2024-03-04 (ann: known)",
        "         also: 50 predictions on the day",
        "  warn     feature-break: a drifted",
        "  warn     feature-drift: a drifted",
    ]


@pytest.mark.parametrize(
    ("action", "target", "reason", "says"),
    [
        ("mute", "zzz", "why", "there is no incident and no rule zzz; rules: feature-drift"),
        ("mute", "3f9a", " ", "no reason was given"),
        ("ack", "feature-drift", "why", "only incidents can be acknowledged"),
        ("mute", "3", "why", "is the beginning of several incident ids: 3f9a, 3f9b"),
    ],
)
def test_an_invalid_action_is_refused(
    history: Warehouse, settings: Settings, action: Any, target: str, reason: str, says: str
) -> None:
    insert(history.connection, "incidents", [INCIDENT | {"dt": day(1), "incident_id": "3f9b"}])
    with pytest.raises(ConfigurationError, match=says):
        record_action(history, settings, action, target, until_on=day(4), reason=reason)
    assert not history.sql("from alert_actions").num_rows
