"""Section about the days on which predictions are expected.

Not here: which days these are (`driftlake.contract.working_days`).
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from driftlake.config.base import Section

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def _distinct_weekdays(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(names)) < len(names):
        raise ValueError("a weekday is listed twice")
    return names


class CalendarSettings(Section):
    """Days on which predictions are expected. On other days, missing predictions are not reported, and windows need fewer days."""

    weekdays: (
        Annotated[
            tuple[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"], ...],
            Field(min_length=1),
            AfterValidator(_distinct_weekdays),
        ]
        | None
    ) = Field(
        default=None,
        description="Weekdays on which predictions are expected, e.g. [mon, tue, wed, thu, fri]; null learns them from the four weeks "
        "before a day.",
    )
    holidays: Annotated[str, Field(pattern=r"^[A-Z]{2}(-[A-Z0-9]{1,4})?$")] | tuple[date, ...] = Field(
        default=(),
        description="Days on which none are expected, e.g. [2026-01-06, 2026-05-01], or a country or one of its regions, e.g. AT or DE-BY, "
        "whose public holidays the extra `holidays` knows.",
    )
