"""Days on which no predictions are expected, configured or learned: they raise no alert, and windows can lack them."""

from __future__ import annotations

import sys
from collections.abc import Collection, Sequence
from datetime import date, timedelta
from pathlib import Path

import pytest
from data import day
from hypothesis import given as drawn
from hypothesis import strategies as st
from project import Project

from driftlake.contract import working_days
from driftlake.contract.working_days import Calendar
from driftlake.drift.windows import OpenDays, Span
from driftlake.errors import DriftlakeError

MONDAY = date(2026, 1, 5)
LEARNED = Calendar(None, frozenset())


def served(weekdays: Collection[int], days: int, without: Collection[int] = ()) -> dict[date, int]:
    """Rows of the first days: 100 on some weekdays, but for some days."""
    return {
        MONDAY + timedelta(days=number): 100 * ((number % 7) in weekdays and number not in without)
        for number in range(days)
    }


def alarms(rows: dict[date, int], calendar: Calendar = LEARNED) -> list[int]:
    """Numbers of the days without rows on which rows are expected, given the days before."""
    return [
        (dt - MONDAY).days
        for dt, count in rows.items()
        if not count and calendar.closure(dt, {other: n for other, n in rows.items() if other < dt}) is None
    ]


@pytest.mark.parametrize(
    ("weekdays", "without", "expected"),
    [
        (range(5), [22], [22]),
        (range(5), [1], [1]),
        (range(5), [], []),
        (range(6), [12], [12]),
        # every day: a Saturday is missing, then a whole week
        (range(7), [19], [19]),
        (range(7), range(21, 28), list(range(21, 28))),
        # Tuesday to Saturday: Mondays are learned after two of them
        (range(1, 6), [], [0, 7]),
    ],
)
def test_days_are_missing_if_the_same_weekdays_had_rows(
    weekdays: range, without: Sequence[int], expected: list[int]
) -> None:
    assert alarms(served(weekdays, 35, without)) == expected


def test_an_outage_is_never_learned() -> None:
    outage = range(21, 70)
    missed = alarms(served(range(5), 70, outage))
    assert set(missed) >= {number for number in outage if number >= 28}


def test_a_configured_calendar_needs_no_history() -> None:
    calendar = Calendar(frozenset({0, 3}), frozenset({MONDAY + timedelta(days=7)}))
    assert alarms(served([0], 14), calendar) == [3, 10]


def test_public_holidays_are_those_of_the_country_and_its_region() -> None:
    epiphany = date(2026, 1, 6)
    assert Calendar(None, (), "DE-BY").closure(epiphany, {}) == "a holiday"
    assert Calendar(None, (), "DE").closure(epiphany, {}) is None


def test_a_country_that_the_package_does_not_know_is_refused() -> None:
    with pytest.raises(DriftlakeError, match="does not know XX"):
        Calendar(None, (), "XX").closure(date(2026, 5, 1), {})


def test_a_country_without_the_package_is_refused_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    working_days._public_holidays.cache_clear()
    monkeypatch.setitem(sys.modules, "holidays", None)
    with pytest.raises(DriftlakeError, match="driftlake\\[holidays\\]"):
        Calendar(None, (), "AT").closure(date(2026, 5, 1), {})


@drawn(st.sets(st.integers(0, 60)), st.integers(0, 60), st.integers(0, 30))
def test_open_days_of_a_span_are_counted_one_by_one(closed: set[int], first: int, length: int) -> None:
    span = Span(MONDAY + timedelta(days=first), MONDAY + timedelta(days=first + length))
    open_days = OpenDays.of(MONDAY + timedelta(days=number) for number in closed)
    assert open_days.count([span]).tolist() == [sum(first + k not in closed for k in range(length))]


@pytest.fixture(scope="module")
def business(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Three weeks of a model that predicts Monday to Friday, with a holiday on the third Wednesday; day 1 is a Friday."""
    holiday = day(20)
    project = Project(
        tmp_path_factory.mktemp("business") / "p",
        calendar={"holidays": [holiday]},
        drift={"windows_days": [7], "minimum_rows": 100},
    )
    for number in range(1, 22):
        if day(number).weekday() < 5 and day(number) != holiday:
            project.telemetry(number)
    project.run(1, 21, is_checked=True)
    return project


def test_weekends_and_holidays_raise_no_alert(business: Project) -> None:
    assert (
        business.rows("select * from contract_checks where expectation = 'partition_is_present' and outcome = 'failed'")
        == []
    )
    assert business.rows("select * from alerts where rule = 'doubtful-input'") == []


def test_a_day_on_which_nothing_is_expected_says_so(business: Project) -> None:
    [(reason,)] = business.rows("select reason from partition_runs where stage = 'profiles' and dt = ?", day(20))
    assert "a holiday" in reason


def test_windows_over_weekends_and_holidays_are_judged(business: Project) -> None:
    unjudged = business.rows(
        "select dt, reason from feature_drift where outcome = 'insufficient_data' and dt >= ? and reference = 'training'"
        " and reason <> 'no values on the day'",
        day(11),
    )
    assert unjudged == []


def test_a_configured_calendar_applies_without_contracts(tmp_path: Path) -> None:
    project = Project(tmp_path / "p", contracts={"enabled": False}, calendar={"weekdays": ["mon"]})
    project.telemetry(4)
    project.run(4, 5, until="profiles")
    assert project.rows("select outcome from contract_checks where dt = ?", day(5)) == [("passed",)]


def test_the_rule_on_missing_days_can_be_switched_off(tmp_path: Path) -> None:
    project = Project(tmp_path / "p", contracts={"severities": {"partition_is_present": "off"}})
    project.telemetry(4)
    project.run(4, 5, until="profiles", is_checked=True)
    assert project.rows("select * from contract_checks where expectation = 'partition_is_present'") == []
    assert project.rows("select outcome from partition_runs where dt = ?", day(5)) == [("missing",)]
