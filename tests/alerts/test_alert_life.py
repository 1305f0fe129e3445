"""Alerts computed in SQL match a plain state machine, day by day, for any history and any division into runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import duckdb
import pytest
from data import day, given
from hypothesis import example
from hypothesis import given as drawn
from hypothesis import strategies as st
from signals_and_rules import RULE, RULE_COLUMNS, SIGNAL, SIGNAL_COLUMNS, alerts_of

WARN, RESOLVE = 0.1, 0.08
Day = tuple[date, str, date, date]
VALUES = st.lists(st.sampled_from([None, 0.05, 0.09, 0.2, 0.4]), min_size=1, max_size=20)


@dataclass
class Machine:
    """One rule that looks at one signal, a day at a time."""

    days_needed: int
    patience_days: int
    in_a_row: int = 0
    silent_days: int = 0
    since_on: date | None = None
    opened_on: date | None = None

    def see(self, today: date, value: float | None) -> Day | None:
        """State of the day, if there is an alert on it."""
        is_above = value is not None and value >= WARN
        self.in_a_row = self.in_a_row + 1 if is_above else 0
        self.silent_days = self.silent_days + 1 if value is None else 0
        if self.opened_on is None:
            if self.in_a_row < self.days_needed:
                return None
            self.since_on, self.opened_on = day((today - day(1)).days + 2 - self.in_a_row), today
            return today, "open", self.since_on, self.opened_on
        is_over = (value is not None and value < RESOLVE) or self.silent_days == self.patience_days
        assert self.since_on is not None
        row = today, "resolved" if is_over else "ongoing", self.since_on, self.opened_on
        if is_over:
            self.opened_on = None
        return row


def expected(values: Sequence[float | None], days_needed: int, patience_days: int) -> list[Day]:
    machine = Machine(days_needed, patience_days)
    return [row for number, value in enumerate(values, 1) if (row := machine.see(day(number), value))]


def found(
    values: Sequence[float | None], days_needed: int, patience_days: int, spans: Sequence[tuple[int, int]]
) -> list[Day]:
    """The alerts of each span of days, computed separately."""
    with duckdb.connect() as db:
        signals = [SIGNAL | {"dt": day(n), "value": value} for n, value in enumerate(values, 1) if value is not None]
        given(db, "signals", SIGNAL_COLUMNS, signals)
        limits = {"consecutive_days": days_needed, "resolve": RESOLVE, "resolve_after_days": patience_days}
        given(db, "alert_rules", RULE_COLUMNS, [RULE | limits])
        rows = [row for first, last in spans for row in alerts_of(db, day(first), day(last)).to_pylist()]
        return [(row["dt"], row["state"], row["since_on"], row["opened_on"]) for row in rows]


@drawn(VALUES, st.integers(1, 3), st.integers(1, 3))
@example([0.2, 0.09, None, 0.09, 0.05, 0.2], 1, 2)
@example([0.2, None, None, 0.2], 1, 2)
def test_the_life_of_an_alert_is_that_of_a_state_machine(
    values: list[float | None], days_needed: int, patience_days: int
) -> None:
    assert found(values, days_needed, patience_days, [(1, len(values))]) == expected(values, days_needed, patience_days)


@drawn(VALUES, st.integers(1, 3), st.integers(1, 3))
def test_a_day_computed_alone_equals_that_of_the_whole_history(
    values: list[float | None], days_needed: int, patience_days: int
) -> None:
    # only the last day, because earlier days of the span would know later ones
    last = range(max(1, len(values) - 3), len(values) + 1)
    alone = found(values, days_needed, patience_days, [(number, number) for number in last])
    whole = found(values, days_needed, patience_days, [(1, len(values))])
    assert alone == [row for row in whole if row[0] >= day(last[0])]


@pytest.mark.parametrize(
    ("noise_floor", "sample_count", "states"),
    [(0.01, 1000, ["open", "ongoing"]), (0.3, 1000, ["open", "resolved"]), (0.01, 499, ["open", "ongoing"])],
    ids=["a signal", "noise resolves", "too few rows are no value"],
)
def test_noise_and_missing_values_raise_nothing(
    db: duckdb.DuckDBPyConnection, noise_floor: float, sample_count: int, states: list[str]
) -> None:
    second = {"dt": day(2), "noise_floor": noise_floor, "sample_count": sample_count}
    given(db, "signals", SIGNAL_COLUMNS, [SIGNAL | {"dt": day(1)}, SIGNAL | second])
    given(db, "alert_rules", RULE_COLUMNS, [RULE | {"resolve_after_days": 3}])
    rows = alerts_of(db, day(1), day(2))
    assert rows["state"].to_pylist() == states
