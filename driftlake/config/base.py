"""The base class of every section of the configuration, and types of values.

Not here: sections.
"""

from __future__ import annotations

from typing import Annotated
from zoneinfo import available_timezones

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PositiveInt,
)


def _known_time_zone(name: str) -> str:
    if name not in available_timezones():
        raise ValueError(f"'{name}' is not a time zone of the IANA database, e.g. America/New_York")
    return name


TimeZone = Annotated[str, AfterValidator(_known_time_zone)]

Share = Annotated[float, Field(ge=0, le=1)]


def _distinct(windows: tuple[int, ...]) -> tuple[int, ...]:
    if len(set(windows)) < len(windows):
        raise ValueError("a window is listed twice")
    return windows


def no_repetition(names: tuple[str, ...]) -> tuple[str, ...]:
    """Columns, each listed once."""
    if len(set(names)) < len(names):
        raise ValueError("a column is listed twice")
    return names


def _segment_name(name: str) -> str:
    if "=" in name or not name:
        raise ValueError(f"'{name}' cannot be a segment column: a segment is named column=value")
    return name


SegmentName = Annotated[str, AfterValidator(_segment_name)]

Windows = Annotated[tuple[PositiveInt, ...], Field(min_length=1), AfterValidator(_distinct)]


class Section(BaseModel):
    """A section of driftlake.yaml: a key that it does not have is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)
