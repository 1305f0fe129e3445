"""Windows of days as differences of cumulative sums.

Days are divided into *buckets* at every day on which a window or reference period begins or ends. So one night needs a
dozen sums from the warehouse for windows of any length, and a backfill one sum per day. Not here: what is summed
(`driftlake.drift.comparison`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from driftlake.config import OtherVersion, Period, ReferenceSetting

# Four weeks, so that weekdays match and the turn of the month is at about the same place.
_SEASON_DAYS = 28
# Longer than any history.
_EVERY_DAY_BEFORE = 36_500


@dataclass(frozen=True, slots=True)
class Span:
    """Consecutive days: from `first` on, before `end`."""

    first: date
    end: date

    @classmethod
    def window(cls, last: date, days: int) -> Span:
        """The window of some days that ends with `last`."""
        return cls(last + timedelta(days=1 - days), last + timedelta(days=1))

    @property
    def day_count(self) -> int:
        """Days of the span."""
        return (self.end - self.first).days

    def shifted(self, days: int) -> Span:
        """The same number of days, `days` earlier."""
        return Span(self.first - timedelta(days=days), self.end - timedelta(days=days))

    def intersection(self, other: Span) -> Span:
        """The days of both; without days if there are none."""
        first = max(self.first, other.first)
        return Span(first, max(first, min(self.end, other.end)))


@dataclass(frozen=True, slots=True)
class Spans:
    """The days of some spans without the days of others."""

    whole: Span
    without: Span

    @property
    def day_count(self) -> int:
        """Days that are added up."""
        return self.whole.day_count - self.without.day_count


@dataclass(frozen=True, slots=True)
class OpenDays:
    """The days on which predictions are expected: all except `closed`, a sorted array of day numbers since year 1."""

    closed: tuple[int, ...] = ()

    @classmethod
    def of(cls, closed: Iterable[date]) -> OpenDays:
        """All but some days."""
        return cls(tuple(sorted(day.toordinal() for day in closed)))

    def count(self, spans: Sequence[Span]) -> NDArray[np.int64]:
        """Days of each span on which predictions are expected, shape (spans,)."""
        edges = np.array([(span.first.toordinal(), span.end.toordinal()) for span in spans]).reshape(-1, 2)
        before = np.searchsorted(np.array(self.closed, dtype=np.int64), edges)
        expected: NDArray[np.int64] = (edges[:, 1] - edges[:, 0]) - (before[:, 1] - before[:, 0])
        return expected

    def of_window(self, last: date, days: int) -> int:
        """The same of the window of some days that ends with `last`."""
        return int(self.count([Span.window(last, days)])[0])


EVERY_DAY = OpenDays()


def days_needed(share: float, length_days: NDArray[Any] | int) -> NDArray[np.int64]:
    """Smallest number of whole days that is at least `share` of each length, shape as given; a rounding error does not turn 7 % of 100 days into 8."""
    needed: NDArray[np.int64] = np.ceil(np.round(share * np.asarray(length_days), 9)).astype(np.int64)
    return needed


def reference_name(reference: ReferenceSetting) -> str:
    """The name of a reference in the tables."""
    return reference if isinstance(reference, str) else reference.name


def reference_reach_days(reference: ReferenceSetting, window_days: int) -> int:
    """How many days before its last day the comparison of a window looks back."""
    if reference == "training" or isinstance(reference, OtherVersion):
        return window_days - 1
    if isinstance(reference, Period):
        # wherever the period lies
        return _EVERY_DAY_BEFORE
    last = date(2000, 1, 1)
    return (last - reference_spans(reference, Span.window(last, window_days)).whole.first).days


def reference_spans(reference: ReferenceSetting, window: Span) -> Spans:
    """The days of a reference other than training data, without the days of the window, so that no day is compared with itself.

    Days after the window are not used either: they were not known at its end.
    """
    days = window.day_count
    if isinstance(reference, OtherVersion):
        # other predictions on the same days
        return Spans(window, Span(window.first, window.first))
    if isinstance(reference, Period):
        end = min(reference.last_day + timedelta(days=1), window.end)
        whole = Span(reference.first_day, max(reference.first_day, end))
    elif reference == "preceding":
        whole = window.shifted(days)
    else:
        # a window longer than four weeks goes back by a multiple of four weeks
        whole = window.shifted(-(-days // _SEASON_DAYS) * _SEASON_DAYS)
    return Spans(whole, whole.intersection(window))


@dataclass(frozen=True)
class Buckets:
    """The days of some spans, cut at every edge of theirs."""

    spans: frozenset[Span]

    @classmethod
    def of(cls, spans: Iterable[Span]) -> Buckets:
        """Buckets such that every span consists of whole buckets."""
        return cls(frozenset(spans))

    @cached_property
    def edges(self) -> list[date]:
        """First day of each bucket in order, and the day after the last."""
        return sorted({edge for span in self.spans for edge in (span.first, span.end)})

    def days(self) -> pa.Table:
        """Every day of the spans with its bucket: columns dt and bucket."""
        wanted = sorted({day.toordinal() for span in self.spans for day in _days(span)})
        edges = np.array([edge.toordinal() for edge in self.edges])
        buckets = np.searchsorted(edges, wanted, side="right") - 1
        dates = pa.array([date.fromordinal(day) for day in wanted], pa.date32())
        return pa.table({"dt": dates, "bucket": pa.array(buckets, pa.int32())})

    def sums(self, spans: Sequence[Span], totals: NDArray[np.int64]) -> NDArray[np.int64]:
        """Sums over spans, shape (spans, ...); `totals` are the cumulative sums at the edges, shape (edges, ...)."""
        # the edges of a span without days need not be edges of a bucket
        place = {edge: position for position, edge in enumerate(self.edges)}
        firsts = [place[span.first] if span.day_count else 0 for span in spans]
        ends = [place[span.end] if span.day_count else 0 for span in spans]
        difference: NDArray[np.int64] = totals[ends] - totals[firsts]
        return difference


def _days(span: Span) -> Iterable[date]:
    return (span.first + timedelta(days=offset) for offset in range(span.day_count))
