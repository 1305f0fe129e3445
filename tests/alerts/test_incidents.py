"""One cause is one incident: what begins together is grouped, what begins later is not, the probable cause first."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from data import GROUP, MODEL, TRAINING_RUN, Row, day, insert, write_project

from driftlake.alerts.causes import CAUSES
from driftlake.alerts.incidents import Life, group_alerts, group_lives
from driftlake.alerts.rules import fired
from driftlake.config import AlertRule, Settings
from driftlake.lake import queries
from driftlake.lake.warehouse import Warehouse
from driftlake.lineage.versions import ModelVersion

VERSIONS = {
    ("credit", "v1"): ModelVersion("credit", "v1", "probability", {}, None, feature_importance={"a": 3, "b": 1})
}
RULES = (
    AlertRule(name="missing", signal="feature_drift.missing_rate_change", window_days=1, warn=0.05, critical=0.2),
    AlertRule(name="drift", signal="feature_drift.psi", window_days=7, warn=0.1, critical=0.25),
    AlertRule(name="overdue", signal="label_backlog.overdue_share", warn=0.05, critical=0.2),
    AlertRule(name="latency", signal="service_levels.p95_ms", warn=100, critical=200, features=("latency_ms",)),
    AlertRule(name="auc", signal="model_quality.auc_drop", window_days=28, warn=0.03, critical=0.08),
)
DRIFT: Row = GROUP | {
    "window_days": 7,
    "reference": "training",
    "statistic": "psi",
    "value": 0.2,
    "current_count": 1000,
    "current_day_count": 7,
    "reference_count": 5000,
    "outcome": "drift",
}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return write_project(tmp_path / "project", features=["x"], training={"x": [0.0, 1.0], "score": [0.1, 0.9]})


def life(opened: int, *, resolved: int | None = None, **changes: Any) -> Life:
    known: dict[str, Any] = {"rule": "drift", "signal": "feature_drift.psi", "model_id": "credit", "feature": "a"}
    known |= {"model_version": "v1", "deployment": "production", "segment": "all", "reference": "training"}
    known |= {"window_days": 1, "opened_on": day(opened), "since_on": day(opened), "kind": "break"}
    return Life(**known | {"resolved_on": day(resolved) if resolved else None} | changes)


def sizes(*lives: Life, join_days: int = 3) -> list[int]:
    return [len(incident.lives) for incident in group_lives(lives, join_days)]


# --- grouping ---


def test_features_that_drift_together_are_one_incident() -> None:
    assert sizes(
        *(life(1 + number % 4, feature=f"f{number}") for number in sorted(range(20), key=lambda n: n % 4))
    ) == [20]


def test_what_begins_later_is_another_incident_however_long_the_first_one_runs() -> None:
    assert sizes(life(1), life(5, feature="b"), life(200, feature="c")) == [1, 1, 1]


def test_an_alert_over_a_long_window_may_have_begun_with_the_incident() -> None:
    late = life(20, feature=None, signal="model_quality.auc_drop", window_days=28, kind="harm")
    assert sizes(life(1, kind="harm"), late) == [2]
    assert sizes(life(1, kind="harm", resolved=10), late) == [1, 1]


def test_another_feature_did_not_break_before_its_days_say_so() -> None:
    assert sizes(life(1), life(6, window_days=7, feature="b")) == [1, 1]
    assert sizes(life(1), life(6, window_days=7, signal="feature_drift.missing_rate_change")) == [2]


def test_an_alert_about_a_version_did_not_begin_before_the_version() -> None:
    late = life(20, feature=None, signal="model_quality.auc_drop", window_days=28, model_version="v2", kind="harm")
    assert sizes(life(1, kind="harm"), replace(late, predicted_from=day(2))) == [2]
    assert sizes(life(1, kind="harm"), replace(late, predicted_from=day(10))) == [1, 1]


def test_the_same_signal_of_another_version_belongs_to_an_open_incident() -> None:
    assert sizes(life(1), life(90, model_version="v2")) == [2]


def test_another_signal_of_the_feature_is_news_once_the_incident_is_old() -> None:
    assert sizes(life(1), life(90, signal="feature_drift.missing_rate_change")) == [1, 1]


def test_an_alert_that_comes_back_within_days_opens_its_incident_again() -> None:
    assert sizes(life(1, resolved=2), life(5)) == [2]
    assert sizes(life(1, resolved=2), life(6)) == [1, 1]


def test_a_loss_that_shows_again_within_its_window_is_the_same() -> None:
    loss = {"kind": "harm", "signal": "performance.loss_evidence", "feature": "auc", "window_days": 28}
    assert sizes(life(1, resolved=3, **loss), life(33, **loss)) == [2]
    assert sizes(life(1, resolved=3, **loss), life(34, **loss)) == [1, 1]
    assert sizes(life(1, resolved=3, **loss), life(10, **loss | {"feature": "log_loss"})) == [1, 1]


def test_what_was_over_long_ago_is_news_although_the_incident_runs_on() -> None:
    assert sizes(life(1, resolved=2), life(1, feature="b"), life(90)) == [2, 1]


def test_models_have_their_own_incidents_unless_a_whole_partition_is_why() -> None:
    other = life(1, model_id="churn")
    assert sizes(life(1), other) == [1, 1]
    assert sizes(life(1, model_id=None, feature="telemetry.day_is_there"), life(1), other) == [3]


def test_what_befalls_a_partition_later_joins_no_models_together() -> None:
    later = life(3, model_id=None, feature="telemetry.day_is_there")
    assert sizes(life(1), later, life(3, model_id="churn")) == [1, 2]


def test_what_breaks_on_a_day_in_several_models_is_one_fault_if_it_pages_for_each() -> None:
    paging = {"paged_on": day(1)}
    assert sizes(life(1, **paging), life(1, model_id="churn", **paging)) == [2]
    assert sizes(life(1, **paging), life(1, model_id="churn")) == [1, 1]
    assert sizes(life(1, **paging), life(1, model_id="churn", feature="b", **paging)) == [1, 1]
    assert sizes(life(1, **paging), life(2, model_id="churn", paged_on=day(2))) == [1, 1]


def test_alerts_of_different_kinds_are_different_incidents() -> None:
    assert sizes(life(1), life(1, kind="harm"), life(1, kind="blind"), life(1, kind="drift")) == [1, 1, 1, 1]


def test_drift_of_a_model_is_one_standing_incident() -> None:
    drift = {"kind": "drift"}
    assert sizes(life(1, resolved=9, **drift), life(30, feature="b", **drift), life(80, feature="c", **drift)) == [3]
    assert sizes(life(1, resolved=9, **drift), life(100, feature="b", **drift)) == [1, 1]
    assert sizes(life(1, **drift), life(1, model_id="churn", **drift)) == [1, 1]


def test_drift_whose_rule_pages_does_not_stand() -> None:
    paging = {"kind": "drift", "pages": True}
    assert sizes(life(1, resolved=9, **paging), life(30, feature="b", **paging)) == [1, 1]


def test_a_lost_volume_is_one_break_whichever_check_sees_it() -> None:
    check = {"signal": "contract_checks.warning_share", "feature": "telemetry.row_count_is_usual", "model_id": None}
    assert sizes(life(1, signal="prediction_volume.lost_share", feature=None), life(6, **check)) == [2]


def test_an_incident_keeps_its_id_whatever_joins_it() -> None:
    [alone], [joined] = group_lives([life(1)], 3), group_lives([life(1, resolved=9), life(2, feature="b")], 3)
    assert alone.incident_id == joined.incident_id != group_lives([life(2)], 3)[0].incident_id


# --- rows ---


def given_drift(memory: Warehouse, first: int, last: int, **changes: Any) -> None:
    insert(memory.connection, "feature_drift", [DRIFT | {"dt": day(n)} | changes for n in range(first, last + 1)])


def given_missing(memory: Warehouse, first: int, last: int, feature: str = "a") -> None:
    """A feature of which 30 % is missing from `first` on, after days without a gap."""
    changes = {"statistic": "missing_rate_change", "value": 0.3, "window_days": 1, "feature": feature}
    given_calm(memory, feature)
    given_drift(memory, first, last, **changes)
    given_bin(memory, "missing", [(n, 300 if n >= first else 0) for n in range(first - 7, last + 1)], feature)


def given_calm(memory: Warehouse, feature: str = "a") -> None:
    """A feature that was like training when it was first measured."""
    calm = {"statistic": "missing_rate_change", "window_days": 1, "value": 0.0, "outcome": "stable"}
    given_drift(memory, 1, 1, feature=feature, **calm)


def given_bin(memory: Warehouse, kind: str, rows: list[tuple[int, int]], feature: str = "a") -> None:
    """So many of the 1,000 rows of each day are in a bin of a kind."""
    known = MODEL | {"feature": feature, "feature_kind": "categorical", "label": "", "coarse_bin_id": 1}
    bins = [known | {"bin_id": number, "bin_kind": name} for number, name in ((2, kind), (3, "category"))]
    insert(memory.connection, "feature_bins", bins)
    profile = GROUP | {"feature": feature}
    for number, count in rows:
        of_day = [(2, count), (3, 1000 - count)]
        counted = [profile | {"dt": day(number), "bin_id": b, "row_count": rows} for b, rows in of_day]
        insert(memory.connection, "feature_profile", counted)


def given_moments(memory: Warehouse, days: range, value: float = 1.0, spread: float = 1.0) -> None:
    stats = GROUP | {"feature": "a", "row_count": 1000, "missing_count": 0}
    moments = {"mean": value, "standard_deviation": spread * (0.98 * value if value > 1 else 1.0)}
    insert(memory.connection, "feature_stats", [stats | moments | {"dt": day(n)} for n in days])


def grouped(
    memory: Warehouse, settings: Settings, first: int = 1, last: int = 20, rules: tuple[AlertRule, ...] = RULES
) -> tuple[list[Row], list[Row]]:
    raised = fired(memory, rules, first_day=date.min, last_day=day(last))
    tables = group_alerts(memory, settings, VERSIONS, raised, first_day=day(first), last_day=day(last))
    alerts, incidents = (table.to_pylist() for table in tables)
    return alerts, incidents


def test_an_incident_says_its_cause_first(memory: Warehouse, settings: Settings) -> None:
    given_missing(memory, 10, 12)
    _, incidents = grouped(memory, settings, last=12)
    assert [(incident["dt"], incident["state"]) for incident in incidents] == [
        (day(10), "open"),
        (day(11), "ongoing"),
        (day(12), "ongoing"),
    ]
    assert {(incident["cause"], incident["title"]) for incident in incidents} == {
        ("missing_values", "credit: 30% of a is missing, 0% before (1 alert: a)")
    }


def test_an_incident_is_resolved_when_all_of_its_alerts_are(memory: Warehouse, settings: Settings) -> None:
    given_drift(memory, 1, 3, feature="a")
    given_drift(memory, 1, 5, feature="b")
    given_drift(memory, 4, 4, feature="a", value=0.01)
    given_drift(memory, 6, 6, feature="b", value=0.01)
    _, incidents = grouped(memory, settings)
    assert [(incident["state"], incident["alert_count"]) for incident in incidents] == [
        ("open", 2),
        ("ongoing", 2),
        ("ongoing", 2),
        ("ongoing", 1),
        ("ongoing", 1),
        ("resolved", 0),
    ]


def test_alerts_are_ranked_by_importance_times_drift(memory: Warehouse, settings: Settings) -> None:
    given_drift(memory, 1, 1, feature="b", value=0.2)
    given_drift(memory, 1, 1, feature="a", value=0.15)
    alerts, [incident] = grouped(memory, settings, last=1)
    assert [alert["feature"] for alert in alerts] == ["a", "b"]
    assert alerts[0]["weight"] > alerts[1]["weight"]
    assert {alert["incident_id"] for alert in alerts} == {incident["incident_id"]}


def test_a_day_computed_by_itself_is_as_in_the_whole_history(memory: Warehouse, settings: Settings) -> None:
    given_missing(memory, 9, 14)
    given_drift(memory, 11, 16, feature="a")
    given_drift(memory, 2, 18, feature="b")
    whole = grouped(memory, settings)
    alone = [grouped(memory, settings, number, number) for number in range(1, 21)]
    assert [alert for alerts, _ in alone for alert in alerts] == whole[0]
    assert [incident for _, incidents in alone for incident in incidents] == whole[1]


def test_planned_downtime_marks_an_incident(memory: Warehouse, settings: Settings) -> None:
    given_missing(memory, 10, 12)
    downtime = {"first_day": day(11), "last_day": day(11), "reason": "migration"}
    planned = settings.model_validate({**settings.model_dump(), "models": {"credit": {"downtime": [downtime]}}})
    _, incidents = grouped(memory, planned, last=12)
    assert [incident["downtime"] for incident in incidents] == [None, "migration", None]


# --- kinds ---


def test_an_incident_pages_from_its_first_critical_alert_on(memory: Warehouse, settings: Settings) -> None:
    for number, value in ((10, 0.1), (11, 0.3), (12, 0.1)):
        given_drift(memory, number, number, feature="a", statistic="missing_rate_change", window_days=1, value=value)
    _, incidents = grouped(memory, settings, last=12)
    assert [(incident["kind"], incident["pages"]) for incident in incidents] == [
        ("break", False),
        ("break", True),
        ("break", True),
    ]


def test_a_loss_that_broken_data_cause_pages_nobody_again(memory: Warehouse, settings: Settings) -> None:
    given_missing(memory, 10, 12)
    given_auc(memory, 12)
    _, incidents = grouped(memory, settings, first=12, last=12)
    assert [(each["kind"], each["pages"], each["cause"]) for each in incidents if each["kind"] == "harm"] == [
        ("harm", False, "broken_data")
    ]
    assert [each["pages"] for each in incidents if each["kind"] == "break"] == [True]


LOSS = AlertRule(name="loss", signal="performance.loss_evidence", warn=0.7, critical=1)


@pytest.mark.parametrize(
    ("broken_until", "lost_since", "told_on", "pages"),
    [(90, 10, 90, False), (12, 11, 40, False), (12, 11, 51, True), (12, 20, 30, True), (12, 1, 11, True)],
    ids=["while it is broken", "while its days count", "long after", "lost since later", "lost since earlier"],
)
def test_a_loss_pages_unless_its_inputs_broke_when_it_began(
    memory: Warehouse, settings: Settings, broken_until: int, lost_since: int, told_on: int, pages: bool
) -> None:
    given_missing(memory, 10, broken_until)
    row = MODEL | {
        "deployment": "production",
        "statistic": "auc",
        "basis": "combined",
        "window_days": 28,
        "loss_evidence": 1.2,
    }
    row |= {"day_count": 28, "labelled_day_count": 28, "label_count": 9000, "loss_since_on": day(lost_since)}
    insert(memory.connection, "performance", [row | {"dt": day(n)} for n in range(11, told_on + 1) if n > lost_since])
    _, incidents = grouped(memory, settings, first=told_on, last=told_on, rules=(*RULES, LOSS))
    [loss] = [each for each in incidents if each["kind"] == "harm"]
    assert loss["pages"] is pages


def test_drift_never_pages_unless_its_rule_says_so(memory: Warehouse, settings: Settings) -> None:
    given_drift(memory, 10, 10, feature="a", value=9.0)
    [drift] = [rule for rule in RULES if rule.name == "drift"]
    for pages in (None, True):
        rules = (drift.model_copy(update={"pages": pages}),)
        _, [incident] = grouped(memory, settings, last=10, rules=rules)
        assert (incident["kind"], incident["severity"], incident["pages"]) == ("drift", "critical", pages is True)


# --- causes ---


def test_every_cause_has_its_query() -> None:
    assert {cause.query or cause.name for cause in CAUSES} == set(queries.names("causes"))


PROFILE: Row = GROUP | {"bin_id": 1, "score_sum": 0.0}
ARRIVALS: Row = {
    "invalid_count": 0,
    "duplicate_count": 0,
    "conflict_count": 0,
    "matched_count": 0,
    "unmatched_count": 0,
}
RUN: Row = {
    "stage": "label_cohorts",
    "run_id": "r",
    "outcome": "empty",
    "row_count": 0,
    "code_version": "c",
    "config_hash": "h",
    "snapshot_id": 1,
    "started_at": datetime(2024, 3, 1, tzinfo=UTC),
    "committed_at": datetime(2024, 3, 1, tzinfo=UTC),
}
BACKLOG: Row = GROUP | {
    "age_from_days": 0,
    "prediction_count": 1000,
    "labelled_count": 800,
    "outstanding_count": 200,
    "overdue_share": 0.1,
    "growth_count": 10,
}


def given_unit_change(memory: Warehouse) -> None:
    given_moments(memory, range(3, 10))
    given_moments(memory, range(10, 11), 1000.0)


def given_unit_change_far_from_zero(memory: Warehouse) -> None:
    """The mean is known far better than the deviation."""
    given_moments(memory, range(3, 10), spread=0.01)
    given_moments(memory, range(10, 11), 1000.0, spread=0.01)


def given_unseen(memory: Warehouse) -> None:
    given_bin(memory, "unseen", [(n, 0 if n < 10 else 100) for n in range(3, 11)])


def given_release(memory: Warehouse) -> None:
    rows = [(n, "v0", 100) for n in range(1, 10)] + [(10, "v0", 50), (10, "v1", 50)]
    insert(
        memory.connection,
        "prediction_profile",
        [PROFILE | {"dt": day(n), "model_version": version, "row_count": count} for n, version, count in rows],
    )


def given_half_the_volume(memory: Warehouse) -> None:
    insert(
        memory.connection,
        "prediction_profile",
        [PROFILE | {"dt": day(n), "row_count": 100 if n < 10 else 50} for n in range(-20, 11)],
    )


def given_lost_column(memory: Warehouse) -> None:
    change = {"comparison": "day_before", "column_name": "a", "change": "lost", "file_count": 1, "row_count": 9}
    insert(memory.connection, "schema_changes", [change | {"dt": day(10), "message": "column a is gone"}])


def given_failed_check(memory: Warehouse) -> None:
    check = {"source": "telemetry", "expectation": "clock_is_right", "severity": "warning", "outcome": "failed"}
    counts = {"checked_count": 100, "unexpected_count": 90, "message": "times lie in the future"}
    insert(memory.connection, "contract_checks", [check | counts | {"dt": day(10)}])


def given_quarantine(memory: Warehouse) -> None:
    row = {"source": "telemetry", "path": "p", "expectation": "file_is_readable", "reason": "a file is cut off"}
    insert(memory.connection, "quarantine", [row | {"dt": day(10)}])


def given_segment(memory: Warehouse) -> None:
    shift = MODEL | {"deployment": "production", "segment_column": "country", "feature": "a", "window_days": 7}
    shift |= {"dt": day(10), "reference": "training", "reference_count": 10, "contribution": 0.1}
    rows = [("country=at", 100, 0.9), ("country=de", 900, 0.1)]
    insert(
        memory.connection,
        "segment_shift",
        [shift | {"segment": segment, "current_count": n, "shift_share": share} for segment, n, share in rows],
    )


@pytest.mark.parametrize(
    ("happened", "cause", "sentence"),
    [
        (given_unit_change, "unit_change", "a is 980 times its earlier values, as if its unit had changed"),
        (
            given_unit_change_far_from_zero,
            "unit_change",
            "a is 1,000 times its earlier values, as if its unit had changed",
        ),
        (given_unseen, "unseen_categories", "10% of a are in categories that training never had"),
        (given_release, "release", "version v1 makes 50% of the production predictions, 0% before"),
        (given_lost_column, "schema_change", "column a is gone"),
        # they could not have the effect
        (given_half_the_volume, "unknown", "no probable cause was found"),
        (given_failed_check, "unknown", "no probable cause was found"),
        (given_quarantine, "unknown", "no probable cause was found"),
        (given_segment, "one_segment", "country=at, 10% of the rows, explains 90% of the shift of a"),
        (lambda _: None, "unknown", "no probable cause was found"),
    ],
    ids=lambda value: value if isinstance(value, str) and " " not in value else "",
)
def test_the_cause_is_what_happened_at_the_same_time(
    memory: Warehouse, settings: Settings, happened: Any, cause: str, sentence: str
) -> None:
    given_calm(memory)
    given_drift(memory, 10, 10, feature="a", window_days=1, statistic="missing_rate_change")
    happened(memory)
    _, [incident] = grouped(memory, settings, last=10)
    assert (incident["cause"], incident["title"]) == (cause, f"credit: {sentence} (1 alert: a)")


INPUT_RULES = (
    AlertRule(name="doubtful", signal="contract_checks.warning_share", warn=0.1, critical=0.5),
    AlertRule(name="volume", signal="prediction_volume.lost_share", warn=0.4, critical=0.4),
)


def test_half_the_predictions_are_a_lost_volume(memory: Warehouse, settings: Settings) -> None:
    given_half_the_volume(memory)
    insert(memory.connection, "partition_runs", [RUN | {"dt": day(10), "stage": "profiles", "outcome": "complete"}])
    _, [incident] = grouped(memory, settings, first=10, last=10, rules=INPUT_RULES)
    assert (incident["kind"], incident["pages"], incident["cause"]) == ("break", True, "volume_change")
    assert "50 predictions of credit (production) on the day, usually 100 (1 alert: lost_share)" in incident["title"]
    assert fired(memory, INPUT_RULES, first_day=day(10), last_day=day(10), holidays=[day(10)]).num_rows == 0


def test_what_is_left_out_explains_a_contract(memory: Warehouse, settings: Settings) -> None:
    given_failed_check(memory)
    given_quarantine(memory)
    _, [incident] = grouped(memory, settings, last=10, rules=INPUT_RULES)
    assert incident["cause"] == "broken_contract"
    assert incident["evidence"] == ["a file is cut off"]


def test_labels_that_stop_are_why_they_are_overdue(memory: Warehouse, settings: Settings) -> None:
    """A day on which no file of labels came has no row in label_arrivals."""
    insert(memory.connection, "training_runs", [TRAINING_RUN])
    rows = [BACKLOG | {"dt": day(20), "age_bucket": age} for age in ("all", "0")]
    insert(memory.connection, "label_backlog", rows)
    insert(memory.connection, "label_arrivals", [ARRIVALS | {"dt": day(n), "label_count": 100} for n in range(-10, 12)])
    insert(memory.connection, "partition_runs", [RUN | {"dt": day(n)} for n in range(-10, 21)])
    _, [incident] = grouped(memory, settings)
    assert incident["title"] == "credit: 0 labels arrived on 2024-03-12, usually 100 (1 alert: overdue_share)"


def test_labels_of_one_model_may_stop(memory: Warehouse, settings: Settings) -> None:
    insert(memory.connection, "training_runs", [TRAINING_RUN])
    insert(memory.connection, "label_backlog", [BACKLOG | {"dt": day(20), "age_bucket": age} for age in ("all", "0")])
    insert(memory.connection, "label_arrivals", [ARRIVALS | {"dt": day(n), "label_count": 500} for n in range(-10, 21)])
    cohort = GROUP | {"bin_id": 3, "positive_count": 40, "negative_count": 60, "score_sum": 1.0}
    known = [cohort | {"dt": day(n), "prediction_on": day(n - 1)} for n in range(-10, 12)]
    insert(memory.connection, "label_cohorts", known)
    insert(memory.connection, "partition_runs", [RUN | {"dt": day(n)} for n in range(-10, 21)])
    _, [incident] = grouped(memory, settings)
    assert incident["title"] == "credit: 0 labels of credit arrived on 2024-03-12, usually 100 (1 alert: overdue_share)"


def test_what_was_so_before_is_no_cause(memory: Warehouse, settings: Settings) -> None:
    given_calm(memory)
    given_drift(memory, 10, 10, feature="a", window_days=1, statistic="missing_rate_change")
    given_bin(memory, "missing", [(n, 300) for n in range(3, 11)])
    _, [incident] = grouped(memory, settings, last=10)
    assert incident["cause"] == "unknown"


def test_what_happens_after_an_alert_opened_did_not_cause_it(memory: Warehouse, settings: Settings) -> None:
    given_calm(memory)
    given_drift(memory, 10, 12, feature="a", window_days=1, statistic="missing_rate_change")
    given_bin(memory, "missing", [(n, 0 if n < 12 else 300) for n in range(3, 13)])
    _, incidents = grouped(memory, settings, last=12)
    assert [incident["cause"] for incident in incidents] == ["unknown", "unknown", "unknown"]


def test_a_small_share_is_evidence_too(memory: Warehouse, settings: Settings) -> None:
    given_calm(memory)
    given_drift(memory, 10, 10, feature="a", window_days=1, statistic="missing_rate_change")
    given_bin(memory, "missing", [(n, 0 if n < 10 else 60) for n in range(3, 11)])
    _, [incident] = grouped(memory, settings, last=10)
    assert incident["title"] == "credit: 6% of a is missing, 0% before (1 alert: a)"


def test_what_a_new_version_misses_is_no_news_if_others_missed_it(memory: Warehouse, settings: Settings) -> None:
    given_calm(memory)
    given_drift(memory, 10, 10, feature="a", window_days=1, statistic="missing_rate_change")
    given_bin(memory, "missing", [(10, 300)])
    before = GROUP | {"model_version": "v0", "feature": "a", "dt": day(9)}
    known = MODEL | {"model_version": "v0", "feature": "a", "feature_kind": "numeric", "label": "", "coarse_bin_id": 1}
    insert(memory.connection, "feature_bins", [known | {"bin_id": 1, "bin_kind": "missing"}])
    insert(memory.connection, "feature_profile", [before | {"bin_id": 1, "row_count": 10}])
    _, [incident] = grouped(memory, settings, last=10)
    assert incident["cause"] == "unknown"


def given_latencies(memory: Warehouse, nodes: dict[str, float]) -> None:
    """All calls take 50 ms until day 10: then those of each node so many times as long, because inference does."""
    for number in range(3, 11):
        known = MODEL | {"deployment": "production", "dt": day(number)}
        levels = {"latency_ms": (50, 120), "inference_ms": (30, 99), "lookup_ms": (20, 21)}
        for metric, values in levels.items():
            of_day = float(values[number == 10])
            row = {
                "segment": "all",
                "metric": metric,
                "row_count": 200,
                "p50_ms": 10.0,
                "p95_ms": of_day,
                "p99_ms": of_day,
            }
            insert(memory.connection, "service_levels", [known | row])
        for node, factor in nodes.items():
            counts = {"prediction_count": 100, "outcome_count": 0, "success_count": 0, "gpu_count": 0}
            insert(memory.connection, "service_parts", [known | counts | {"node_id": node, "gpu_utilization_sum": 0.0}])
            middle = 50 * (factor if number == 10 else 1)
            borders = {"bin_id": 1, "lower_ms": middle, "upper_ms": middle}
            insert(
                memory.connection,
                "service_bins",
                [known | borders | {"node_id": node, "metric": "latency_ms", "row_count": 100}],
            )


@pytest.mark.parametrize(
    ("nodes", "cause", "sentence"),
    [
        ({"n1": 1.0, "n2": 2.4, "n3": 1.0}, "slow_part", "node n2 is slower: 95th percentile 120 ms on 2024-03-10"),
        ({"n1": 2.4, "n2": 2.4, "n3": 2.4}, "latency_stage", "inference_ms has slowed most: 95th percentile 99 ms"),
    ],
)
def test_latency_grows_on_a_node_or_in_a_stage(
    memory: Warehouse, settings: Settings, nodes: dict[str, float], cause: str, sentence: str
) -> None:
    given_latencies(memory, nodes)
    _, [incident] = grouped(memory, settings, last=10)
    assert incident["cause"] == cause
    assert incident["title"].startswith(f"credit: {sentence}")


def given_auc(memory: Warehouse, number: int, estimate: float = 0.71) -> None:
    """An AUC of 0.7 over the 28 days up to a day, with what the scores let expect."""
    counts = {"prediction_count": 9000, "label_count": 9000, "positive_count": 900, "negative_count": 8100}
    row = GROUP | counts | {"dt": day(number), "window_days": 28, "outcome": "measured"}
    for statistic, value in (("auc", 0.7), ("estimated_auc", estimate)):
        interval = {"confidence_low": value - 0.02, "confidence_high": value + 0.02}
        drop = {"baseline_value": 0.8, "drop_from_baseline": 0.8 - value}
        insert(memory.connection, "model_quality", [row | interval | drop | {"statistic": statistic, "value": value}])


@pytest.mark.parametrize(("estimate", "cause"), [(0.79, "quality_loss"), (0.71, "unknown")])
def test_an_auc_below_what_scores_let_expect_is_a_lost_relation(
    memory: Warehouse, settings: Settings, estimate: float, cause: str
) -> None:
    given_auc(memory, 10, estimate)
    _, [incident] = grouped(memory, settings, last=10)
    assert incident["cause"] == cause


@pytest.mark.parametrize(("statistic", "cause"), [("auc", "quality_loss"), ("accuracy", "unknown")])
def test_a_low_auc_explains_no_loss_of_another_statistic(
    memory: Warehouse, settings: Settings, statistic: str, cause: str
) -> None:
    given_auc(memory, 10, 0.79)
    tested = {"dt": day(10), "statistic": statistic, "basis": "combined", "window_days": 28, "loss_evidence": 1.2}
    counts = {"day_count": 10, "labelled_day_count": 10, "label_count": 9000}
    insert(memory.connection, "performance", [MODEL | {"deployment": "production"} | tested | counts])
    rules = (AlertRule(name="loss", signal="performance.loss_evidence", warn=0.7, critical=1),)
    _, [incident] = grouped(memory, settings, last=10, rules=rules)
    assert incident["cause"] == cause


@pytest.mark.parametrize(
    ("values", "cause"), [({15: 0.08, 8: 0.04}, "slow_shift"), ({15: 0.01, 8: 0.0}, "unknown"), ({}, "unknown")]
)
def test_what_grew_over_weeks_is_slow(
    memory: Warehouse, settings: Settings, values: dict[int, float], cause: str
) -> None:
    for number, value in values.items():
        given_drift(memory, number, number, feature="a", value=value, outcome="stable")
    given_drift(memory, 22, 22, feature="a", value=0.12)
    _, [incident] = grouped(memory, settings, last=22)
    assert incident["cause"] == cause


def test_what_is_unlike_training_from_the_first_day_has_not_changed(memory: Warehouse, settings: Settings) -> None:
    given_moments(memory, range(4, 11))
    given_drift(memory, 10, 10, feature="a")
    _, [incident] = grouped(memory, settings, last=10)
    assert incident["title"] == "credit: a differed from training from the first day of v1 on (1 alert: a)"
