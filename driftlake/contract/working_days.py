"""Days on which no predictions are expected, as configured or as learned from the four weeks before.

Not here: the rule that other days have predictions (`driftlake.contract.day_checks`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from importlib import import_module
from typing import Any

from driftlake.config import Settings
from driftlake.config.calendar import WEEKDAYS
from driftlake.errors import InstallationError

HISTORY_DAYS = 28
# Number of occurrences from which a weekday without predictions is a day off; Saturdays and Sundays are days off until they have predictions.
_FEWEST_WEEKDAYS = 2
# If none of this many days before has predictions, something is broken.
_WORKING_DAYS = 7


@dataclass(frozen=True, slots=True)
class Calendar:
    """The configured weekdays and holidays; without configured weekdays they are learned."""

    weekdays: Collection[int] | None
    holidays: Collection[date]
    country: str | None = None

    @classmethod
    def of(cls, settings: Settings) -> Calendar:
        """The calendar of driftlake.yaml."""
        given = settings.calendar
        weekdays = None if given.weekdays is None else frozenset(map(WEEKDAYS.index, given.weekdays))
        if isinstance(given.holidays, str):
            return cls(weekdays, (), given.holidays)
        return cls(weekdays, frozenset(given.holidays))

    def is_holiday(self, day: date) -> bool:
        """Whether a day is a configured holiday."""
        return day in self.holidays or bool(self.country and day in _public_holidays(self.country, day.year))

    def closure(self, day: date, row_counts: Mapping[date, int]) -> str | None:
        """Why no predictions are expected on a day that has none; None if they are.

        `row_counts` are those of the days before it, as far as there are such days.
        """
        if self.is_holiday(day):
            return "a holiday"
        if self.weekdays is not None:
            return None if day.weekday() in self.weekdays else f"a {day:%A}"
        return f"a {day:%A}" if _is_day_off(day, row_counts) else None


def history_before(day: date, start: date) -> list[date]:
    """The days from which the expectation for a day is learned."""
    before = (day - timedelta(days=number) for number in range(1, HISTORY_DAYS + 1))
    return sorted(earlier for earlier in before if earlier >= start)


def _is_day_off(day: date, row_counts: Mapping[date, int]) -> bool:
    known = {before: rows for before, rows in row_counts.items() if 0 < (day - before).days <= HISTORY_DAYS}
    if not any(rows for before, rows in known.items() if (day - before).days <= _WORKING_DAYS):
        # without any predictions before, telemetry may be broken
        return False
    alike = [rows > 0 for before, rows in known.items() if before.weekday() == day.weekday()]
    if day.weekday() >= WEEKDAYS.index("sat") and not any(alike):
        return True
    return len(alike) >= _FEWEST_WEEKDAYS and sum(alike) * 2 < len(alike)


@cache
def _public_holidays(place: str, year: int) -> Collection[date]:
    try:
        holidays: Any = import_module("holidays")
    except ImportError as error:
        raise InstallationError(
            f"calendar.holidays: {place} needs the package holidays, which is not installed",
            hint="`pip install 'driftlake[holidays]'`, or list the days",
        ) from error
    country, _, region = place.partition("-")
    try:
        return frozenset(holidays.country_holidays(country, subdiv=region or None, years=year))
    except NotImplementedError as error:
        raise InstallationError(
            f"calendar.holidays: the package holidays does not know {place}", hint="list the days"
        ) from error
