"""Every expectation of the contracts has a row that breaks it, and days are judged separately."""

from __future__ import annotations

import math
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from data import write_project

from driftlake.config import PseudonymKey, Settings
from driftlake.contract.day_checks import day_bounds
from driftlake.contract.row_checks import (
    Contract,
    ContractCheck,
    DayRule,
    MeasuredRule,
    Measurement,
    RowRule,
    Rule,
    counting_query,
    in_force,
)
from driftlake.errors import ConfigurationError, ContractError
from driftlake.lake.session import create_table
from expectations import labels, telemetry
from expectations.contracts import contracts

DAY = date(2024, 3, 1)
NEXT_DAY = date(2024, 3, 2)

TELEMETRY = {
    "dt": "date",
    "correlation_id": "varchar",
    "event_time": "timestamptz",
    "model_id": "varchar",
    "model_version": "varchar",
    "score": "double",
    "latency_ms": "double",
    "deployment": "varchar",
    "training_dataset_id": "varchar",
    "user_key": "varchar",
    "user_key_id": "varchar",
    "is_known_version": "boolean",
    "is_score_probability": "boolean",
    "registered_dataset_id": "varchar",
}
LABELS = {
    "dt": "date",
    "correlation_id": "varchar",
    "label": "double",
    "label_class": "varchar",
    "label_time": "timestamp",
    "prediction_on": "date",
    "is_countable": "boolean",
}

# no longer valid on DAY, and valid since
KEYS = [
    PseudonymKey(id="old", env="OLD", valid_from=date(2024, 1, 1), valid_until=DAY - timedelta(days=1)),
    PseudonymKey(id="new", env="NEW", valid_from=DAY),
]
PREDICTION = {
    "model_id": "credit",
    "model_version": "v1",
    "score": 0.5,
    "latency_ms": 12.0,
    "deployment": "production",
    "training_dataset_id": "loans-2024",
    "user_key": "0123456789abcdef" * 4,
    "user_key_id": "new",
    "is_known_version": True,
    "is_score_probability": True,
    "registered_dataset_id": "loans-2024",
}

# Changes to a good row of DAY, next to a good row with the correlation id "same".
BREAKS_TELEMETRY: dict[str, dict[str, Any]] = {
    "correlation_id_is_present": {"correlation_id": None},
    "event_time_is_present": {"event_time": None},
    "event_time_is_in_its_day": {"event_time": datetime(2024, 3, 2, 5, 0, 0, tzinfo=UTC)},
    "score_is_a_probability": {"score": 1.4},
    "latency_ms_is_not_negative": {"latency_ms": -1.0},
    "deployment_is_known": {"deployment": "prod"},
    "model_version_is_known": {"is_known_version": False},
    "training_dataset_is_that_of_the_lineage": {"training_dataset_id": "loans-2023"},
    "user_key_is_a_pseudonym": {"user_key": "ann@example.org"},
}
BREAKS_LABELS: dict[str, dict[str, Any]] = {
    "correlation_id_is_present": {"correlation_id": None},
    "label_is_present": {"label": None},
    "label_is_countable": {"label": 0.5, "is_countable": False},
    "correlation_id_is_unique": {"correlation_id": "same"},
    "prediction_on_is_not_long_after_arrival": {"prediction_on": DAY + timedelta(days=8)},
    "label_time_is_not_after_arrival": {"label_time": datetime(2024, 3, 3, 0, 0, 1)},
}
# broken by many rows together
ONE_CLASS = "labels_are_of_two_classes"


@pytest.fixture(scope="module", autouse=True)
def connection_attempts() -> Iterator[list[Any]]:
    """No test of this module reaches the network, not even while Great Expectations is imported."""
    attempts: list[Any] = []

    def refuse(_socket: socket.socket, address: Any) -> None:
        attempts.append(address)
        raise OSError("no network in tests")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", refuse)
        yield attempts


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        yield connection


def load(
    connection: duckdb.DuckDBPyConnection, relation: str, columns: dict[str, str], rows: list[dict[str, Any]]
) -> None:
    connection.execute(f"create table {relation} ({', '.join(f'{name} {kind}' for name, kind in columns.items())})")
    marks = ", ".join("?" * len(columns))
    connection.executemany(
        f"insert into {relation} values ({marks})", [[row.get(name) for name in columns] for row in rows]
    )


def check_telemetry(
    connection: duckdb.DuckDBPyConnection, *rows: dict[str, Any], days: tuple[date, ...] = (DAY, NEXT_DAY)
) -> list[ContractCheck]:
    noon = [
        {"correlation_id": f"c{n}", "event_time": datetime.combine(row["dt"], time(12), UTC)}
        for n, row in enumerate(rows)
    ]
    load(connection, "rows", TELEMETRY, [PREDICTION | known | row for known, row in zip(noon, rows, strict=True)])
    create_table(connection, "partition_days", day_bounds(sorted({row["dt"] for row in rows}), "America/New_York"))
    connection.execute("create view telemetry as from rows join partition_days using (dt)")
    return contract("telemetry", *telemetry.RULES).check(connection, days)


def contract(relation: str, *rules: Rule) -> Contract:
    return Contract(relation, relation, "rows", rules)


@pytest.mark.parametrize(("user_key_id", "unexpected_count"), [("new", 0), ("old", 1), ("stray", 1), (None, 1)])
def test_a_key_id_is_valid_on_its_day(
    connection: duckdb.DuckDBPyConnection, user_key_id: str | None, unexpected_count: int
) -> None:
    load(connection, "telemetry", TELEMETRY, [PREDICTION | {"dt": DAY, "user_key_id": user_key_id}])
    [check] = contract("telemetry", telemetry.user_key_id_is_valid(KEYS)).check(connection, [DAY])
    assert check.unexpected_count == unexpected_count


def check_labels(connection: duckdb.DuckDBPyConnection, *rows: dict[str, Any]) -> list[ContractCheck]:
    load(
        connection,
        "labels",
        LABELS,
        [{"correlation_id": f"c{n}", "label": 1, "is_countable": True} | row for n, row in enumerate(rows)],
    )
    return contract("labels", *labels.RULES).check(connection, [DAY, NEXT_DAY])


def failures(checks: list[ContractCheck]) -> list[tuple[date, str, int]]:
    return [(check.dt, check.expectation, check.unexpected_count) for check in checks if check.outcome == "failed"]


@pytest.mark.parametrize("expectation", BREAKS_TELEMETRY)
def test_a_broken_prediction_fails_one_expectation_on_its_day_only(
    connection: duckdb.DuckDBPyConnection, expectation: str
) -> None:
    broken = {"dt": DAY} | BREAKS_TELEMETRY[expectation]
    checks = check_telemetry(connection, {"dt": DAY, "correlation_id": "same"}, broken, {"dt": NEXT_DAY})
    assert failures(checks) == [(DAY, expectation, 1)]
    assert len(checks) == 2 * len(BREAKS_TELEMETRY)


@pytest.mark.parametrize("expectation", BREAKS_LABELS)
def test_a_broken_label_fails_one_expectation_on_its_day_only(
    connection: duckdb.DuckDBPyConnection, expectation: str
) -> None:
    broken = {"dt": DAY} | BREAKS_LABELS[expectation]
    checks = check_labels(connection, {"dt": DAY, "correlation_id": "same"}, broken, {"dt": NEXT_DAY})
    assert failures(checks) == [(DAY, expectation, 1)]
    assert len(checks) == 2 * len([*BREAKS_LABELS, ONE_CLASS])


@pytest.mark.parametrize(
    ("labels", "is_broken"),
    [
        ([1] * 20 + [-1] * 20, True),
        ([1] * 80 + [2] * 10, True),
        (["good", "bad"] * 5, True),
        ([-1, 2] * 5, True),
        # two classes count
        ([1] * 20 + [-1] * 20 + [0], False),
        # too few
        ([1] * 80 + [2] * 9, False),
        ([1] * 200 + [2] * 10, False),
        (["good", "bad"] * 4, False),
        # cases that are open
        ([1] * 20 + ["open"] * 20, False),
        ([1] * 20 + [math.nan] * 20, False),
        ([1] * 20 + [None] * 20, False),
    ],
)
def test_labels_with_a_refused_class_break_their_day(
    connection: duckdb.DuckDBPyConnection, labels: list[Any], is_broken: bool
) -> None:
    rows = [
        {
            "dt": DAY,
            "label": None if isinstance(label, str) else label,
            "label_class": label if isinstance(label, str) else None,
            "is_countable": label in (0, 1),
        }
        for label in labels
    ]
    found = {check.expectation: check for check in check_labels(connection, *rows)}[ONE_CLASS]
    assert (found.outcome, found.severity) == ("failed" if is_broken else "passed", "error")


def test_a_text_label_is_present_and_is_reported_if_it_is_not_a_class(connection: duckdb.DuckDBPyConnection) -> None:
    text = {"dt": DAY, "label": None}
    checks = check_labels(
        connection, text | {"label_class": "car"}, text | {"label_class": "plane", "is_countable": False}
    )
    [failed] = [check for check in checks if check.outcome == "failed"]
    assert (failed.expectation, failed.unexpected_count, failed.observed) == ("label_is_countable", 1, "plane")


def test_every_rule_has_a_row_that_breaks_it() -> None:
    assert [r.name for r in telemetry.RULES if not isinstance(r, MeasuredRule)] == list(BREAKS_TELEMETRY)
    assert {r.name for r in labels.RULES if not isinstance(r, MeasuredRule)} == {*BREAKS_LABELS, ONE_CLASS}


def test_score_above_one_fails_its_day_only(connection: duckdb.DuckDBPyConnection) -> None:
    checks = check_telemetry(
        connection, {"dt": DAY, "score": -0.2}, {"dt": DAY, "score": 1.4}, {"dt": DAY}, {"dt": NEXT_DAY, "score": 1.0}
    )
    assert [check for check in checks if check.expectation == "score_is_a_probability"] == [
        ContractCheck(
            dt=DAY,
            source="telemetry",
            expectation="score_is_a_probability",
            column_name="score",
            severity="warning",
            outcome="failed",
            checked_count=3,
            unexpected_count=2,
            observed="min -0.2, max 1.4",
            message="score lies outside 0..1 (min -0.2, max 1.4) in 2 of 3 rows; a probability is expected: set"
            " `score_kind: percent` in the lineage if it is a percentage, or `score_kind: value` if it is another score that ranks.",
            is_of_rows=True,
        ),
        ContractCheck(
            dt=NEXT_DAY,
            source="telemetry",
            expectation="score_is_a_probability",
            column_name="score",
            severity="warning",
            outcome="passed",
            checked_count=1,
            unexpected_count=0,
            observed="",
            message="",
            is_of_rows=True,
        ),
    ]


def test_a_nan_score_breaks_the_rule_and_a_null_score_does_not(connection: duckdb.DuckDBPyConnection) -> None:
    checks = check_telemetry(connection, {"dt": DAY, "score": float("nan")}, {"dt": NEXT_DAY, "score": None})
    assert failures(checks) == [(DAY, "score_is_a_probability", 1)]


def test_only_labels_beyond_the_first_of_a_day_are_duplicates(connection: duckdb.DuckDBPyConnection) -> None:
    again, anonymous = {"dt": DAY, "correlation_id": "same"}, {"dt": DAY, "correlation_id": None}
    found = failures(check_labels(connection, again, again, again, anonymous, anonymous, {"dt": NEXT_DAY}))
    assert found == [(DAY, "correlation_id_is_present", 2), (DAY, "correlation_id_is_unique", 2)]


def test_unknown_versions_are_named_by_frequency_three_at_most(connection: duckdb.DuckDBPyConnection) -> None:
    versions = ["v4", "v2", "v3", "v3", "v5"]
    rows = [{"dt": DAY, "model_version": version, "is_known_version": False} for version in versions]
    (check,) = [check for check in check_telemetry(connection, *rows) if check.outcome == "failed"]
    assert (check.unexpected_count, check.observed) == (5, "credit/v3, credit/v2, credit/v4")


@pytest.mark.parametrize(
    ("event_time", "outcome"),
    [
        ("2024-02-29 23:59:59+00", "failed"),
        ("2024-03-01 00:00:00+00", "passed"),
        ("2024-03-02 04:59:59+00", "passed"),
        ("2024-03-02 05:00:00+00", "failed"),
        ("infinity", "failed"),
    ],
)
def test_a_day_may_be_in_utc_or_the_time_zone_of_the_partitions(
    connection: duckdb.DuckDBPyConnection, event_time: str, outcome: str
) -> None:
    connection.execute("set TimeZone = 'America/New_York'")
    checks = check_telemetry(connection, {"dt": DAY, "event_time": event_time})
    assert [check.outcome for check in checks if check.expectation == "event_time_is_in_its_day"] == [outcome]


def test_score_of_a_regression_may_be_any_number(connection: duckdb.DuckDBPyConnection) -> None:
    assert failures(check_telemetry(connection, {"dt": DAY, "score": 250_000.0, "is_score_probability": False})) == []


def test_only_requested_days_that_have_rows_are_reported(connection: duckdb.DuckDBPyConnection) -> None:
    checks = check_telemetry(connection, {"dt": DAY}, {"dt": NEXT_DAY}, days=(NEXT_DAY, date(2024, 3, 3)))
    assert {check.dt for check in checks} == {NEXT_DAY}


def test_days_without_rows_are_not_validated(connection: duckdb.DuckDBPyConnection) -> None:
    assert check_telemetry(connection, {"dt": DAY}, days=(NEXT_DAY,)) == []


def test_a_year_of_failing_days_is_reported_whole(connection: duckdb.DuckDBPyConnection) -> None:
    days = tuple(DAY + timedelta(days=offset) for offset in range(366))
    checks = check_telemetry(connection, *({"dt": day, "score": 2.0} for day in days), days=days)
    assert failures(checks) == [(day, "score_is_a_probability", 1) for day in days]


def check_rules(connection: duckdb.DuckDBPyConnection, *rules: Rule) -> list[ContractCheck]:
    load(connection, "telemetry", TELEMETRY, [{"dt": DAY, "score": 2.0}])
    return contract("telemetry", *rules).check(connection, [DAY])


def row_rule(name: str, condition: str) -> RowRule:
    return RowRule(name, "score", "warning", condition, "{column}")


def day_rule(name: str, query: str) -> DayRule:
    return DayRule(name, "score", "warning", query, "{column}")


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        (row_rule("typo", "no_such_column"), 'Referenced column "no_such_column" not found'),
        (row_rule("typo", "score > "), "syntax error"),
        (day_rule("typo", "select dt, 1 as failed from {batch}"), 'Referenced column "unexpected_count" not found'),
    ],
)
def test_a_rule_that_cannot_be_evaluated_is_named(
    connection: duckdb.DuckDBPyConnection, rule: Rule, reason: str
) -> None:
    with pytest.raises(ContractError, match=f"expectation typo could not be evaluated: .*{reason}"):
        check_rules(connection, row_rule("well", "score > 1"), rule)


def test_rows_are_counted_against_every_rule_in_one_scan() -> None:
    assert counting_query("telemetry", [row_rule("a", "score > 1"), row_rule("b", "score < 0")]) == (
        'select dt, count(*) as checked_count, count_if(score > 1) as "a", count_if(score < 0) as "b"'
        ' from "telemetry" group by dt'
    )


def settings_with(root: Path, **contract: Any) -> Settings:
    training = {"x": [0.0, 1.0], "score": [0.1, 0.9]}
    return write_project(root / "project", features=["x"], training=training, contracts=contract)


def test_a_rule_has_the_severity_that_was_configured(tmp_path: Path) -> None:
    severities = {"score_is_a_probability": "error", "deployment_is_known": "off"}
    chosen = contracts(settings_with(tmp_path, severities=severities))
    assert chosen is not None
    found = {rule.name: rule.severity for rule in chosen.telemetry.rules}
    assert (found["score_is_a_probability"], found.get("deployment_is_known")) == ("error", None)


def test_a_severity_of_an_unknown_rule_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="there is no rule score_is_fine"):
        contracts(settings_with(tmp_path, severities={"score_is_fine": "off"}))


def test_a_rule_about_counts_cannot_quarantine_rows() -> None:
    with pytest.raises(ConfigurationError, match="prediction_is_unique cannot be an error"):
        in_force(telemetry.RULES, {"prediction_is_unique": "error"})


def test_a_validation_leaves_no_trace(
    connection: duckdb.DuckDBPyConnection,
    connection_attempts: list[Any],
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    check_telemetry(connection, {"dt": DAY, "score": 2.0})
    assert (connection_attempts, list(tmp_path.iterdir()), capfd.readouterr()) == ([], [], ("", ""))


def test_a_validation_does_not_keep_the_database_open() -> None:
    with duckdb.connect(":memory:contracts") as connection:
        check_telemetry(connection, {"dt": DAY})
    with duckdb.connect(":memory:contracts") as connection:
        assert connection.execute("show tables").fetchall() == []


def test_contracts_are_declared_without_importing_great_expectations() -> None:
    code = "import sys, expectations.labels, expectations.telemetry; print('great_expectations' in sys.modules)"
    root = Path(__file__).parents[2]
    answer = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert answer.stdout == "False\n"


def test_a_message_names_the_column_of_the_files_and_the_canonical_one() -> None:
    contract = Contract(
        "telemetry", "telemetry", "predictions", telemetry.RULES, source_names={"correlation_id": "request_id"}
    )
    [check] = contract.measured("prediction_is_unique", Measurement(DAY, 5, 2))
    assert check.message.startswith("request_id (mapped to correlation_id) repeats")
    assert check.column_name == "correlation_id"
