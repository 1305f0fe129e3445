"""Comparing windows of daily counts with their references: rows of feature_drift and prediction_drift.

Not here: the statistics (`driftlake.maths.divergence`, `driftlake.maths.drift_statistics`), which days a window or a
reference has (`driftlake.drift.windows`), and reading or storing (`driftlake.nightly.derived`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from driftlake.config import DriftSettings
from driftlake.drift.bucket_history import GROUP, Group, History, Profiles, Reference, Stack, Window
from driftlake.drift.windows import Buckets, Span, days_needed, reference_spans
from driftlake.lake.schema import arrow_schema
from driftlake.lineage.versions import SCORE
from driftlake.maths.arrays import Floats
from driftlake.maths.divergence import Comparison, benjamini_hochberg
from driftlake.maths.drift_statistics import KINDS, STATISTICS, Kind, Sides
from driftlake.maths.segments import ALL

OUTCOMES = ("stable", "warn", "drift", "insufficient_data")
_UNDEFINED = "the statistic is not defined for these counts"
_STABLE, _WARN, _DRIFT, _INSUFFICIENT = range(4)
# Pairs of day and feature that are compared at once. The noise of some statistics takes 50 kB for each; four times as
# many do not fit into the processor's cache and take twice as long each.
_COMPARED_AT_ONCE = 512
# Counts of windows that are in memory at once, per window and per reference.
_CELLS_AT_ONCE = 4_000_000


def buckets_of(days: Sequence[date], settings: DriftSettings) -> Buckets:
    """The buckets of days in which counts are needed for comparing the windows that end with `days`."""
    spans: list[Span] = []
    for day in days:
        spans.append(Span.window(day, 1))
        for window in (Span.window(day, length) for length in settings.windows_days):
            spans.append(window)
            for reference in settings.references:
                if reference != "training":
                    of_reference = reference_spans(reference, window)
                    spans += [of_reference.whole, of_reference.without]
    return Buckets.of(span for span in spans if span.day_count)


def compare_windows(
    profiles: Profiles, groups: Collection[Group], settings: DriftSettings, days: Sequence[date]
) -> tuple[pa.Table, pa.Table]:
    """Rows of feature_drift and of prediction_drift of the windows of `groups` that end with `days`.

    `profiles` are in the buckets of `buckets_of` for the same days; they may hold groups that only are references.
    """
    wanted = [group for group in profiles.counts if group in set(groups)]
    of_features = [History.of(profiles, group, list(profiles.version(group).features)) for group in wanted]
    of_scores = [History.of(profiles, group, [SCORE]) for group in wanted]
    of_features, of_scores = (_compared(histories, days, settings) for histories in (of_features, of_scores))
    return of_features, of_scores.drop_columns(["feature"])


def _compared(histories: Sequence[History], days: Sequence[date], settings: DriftSettings) -> pa.Table:
    """Rows of feature_drift of some groups; those that are alike are compared at once."""
    tables = [arrow_schema("feature_drift").empty_table()]
    for alike, days_with_predictions in _alike(histories, days, settings):
        for found in _compare(Stack.of(alike), days_with_predictions, settings):
            # there can be hundreds of segments, so those that could not be judged get no row
            is_wanted = pc.or_(pc.not_equal(found["outcome"], "insufficient_data"), pc.equal(found["segment"], ALL))
            tables.append(found.filter(is_wanted))
    return pa.concat_tables(tables)


def _alike(
    histories: Sequence[History], days: Sequence[date], settings: DriftSettings
) -> Iterator[tuple[list[History], list[date]]]:
    """Histories with equal numbers of features and bins, the same days and the same references; and these days."""
    found: dict[tuple[Any, ...], list[History]] = {}
    for history in histories:
        days_with_predictions = history.days_with_predictions(days, max(settings.windows_days))
        applicable = tuple(history.profiles.has(reference, history.group) for reference in settings.references)
        if days_with_predictions:
            found.setdefault((history.counts.shape, tuple(days_with_predictions), applicable), []).append(history)
    for (shape, days_with_predictions, _), alike in found.items():
        at_once = max(1, _CELLS_AT_ONCE // (len(days_with_predictions) * shape[1] * shape[2]))
        for start in range(0, len(alike), at_once):
            yield alike[start : start + at_once], list(days_with_predictions)


def _compare(stack: Stack, days: Sequence[date], settings: DriftSettings) -> Iterator[pa.Table]:
    """Rows per window, reference and statistic, of the days on which any window has a prediction."""
    history = stack.whole
    last_day = history.window([Span.window(day, 1) for day in days])
    for length in settings.windows_days:
        spans = [Span.window(day, length) for day in days]
        current = history.window(spans)
        for asked in (setting for setting in settings.references if history.profiles.has(setting, history.group)):
            reference = stack.reference(asked, spans)
            expected = history.profiles.open_days.count(spans)
            reasons = _reasons(current, last_day, reference, expected, settings)
            sides = {kind: history.sides(kind, current.counts, reference.counts, settings.smoothing) for kind in KINDS}
            for statistic in dict.fromkeys((*settings.statistics.numeric, *settings.statistics.categorical)):
                places = history.places([kind for kind in KINDS if statistic in settings.statistics.of(kind)])
                comparison = _comparison(history, statistic, sides, current.counts.shape[:-1], settings)
                judged = _Judged(days, length, reference, statistic, current, comparison, reasons)
                yield judged.rows(stack, places, settings)


def _comparison(
    history: History, statistic: str, sides: Mapping[Kind, Sides], shape: tuple[int, ...], settings: DriftSettings
) -> Comparison:
    """Value and noise, shape (days, features); nan where a statistic is not defined for a feature or not requested."""
    value, floor, p_value, bound = (np.full(shape, np.nan) for _ in range(4))
    for kind in KINDS:
        places = history.places([kind])
        if statistic in settings.statistics.of(kind) and len(places):
            for some_days, some in _blocks(shape[0], len(places)):
                found = STATISTICS[statistic].compare(sides[kind].part(some_days, some))
                block = (some_days, places[some])
                value[block], floor[block], p_value[block] = found.value, found.noise_floor, found.p_value
                if found.error_bound is not None:
                    bound[block] = found.error_bound
    return Comparison(value, floor, p_value, bound)


def _blocks(day_count: int, feature_count: int) -> Iterator[tuple[slice, slice]]:
    """Days and features that are compared at once."""
    features = min(feature_count, _COMPARED_AT_ONCE)
    days = max(1, _COMPARED_AT_ONCE // features)
    for first_day in range(0, day_count, days):
        for first in range(0, feature_count, features):
            yield slice(first_day, first_day + days), slice(first, first + features)


@dataclass(frozen=True, slots=True)
class _Judged:
    """A window, a reference and a statistic of some days, with what was found; arrays have shape (days, features)."""

    days: Sequence[date]
    window_days: int
    reference: Reference
    statistic: str
    current: Window
    comparison: Comparison
    reasons: _Reasons

    def rows(self, stack: Stack, places: NDArray[np.int64], settings: DriftSettings) -> pa.Table:
        """A row for each day and feature; `places` are the features for which the statistic is defined."""
        warn, drift = settings.thresholds_of(self.statistic)
        # the tests of a group on a day are a family
        by_group = self.comparison.p_value.reshape(len(self.days), len(stack.groups), -1)
        q_values = benjamini_hochberg(by_group).reshape(self.comparison.p_value.shape)
        reasons = self.reasons.with_undefined(np.isnan(self.comparison.value))
        outcome = _outcomes(self.comparison, q_values, reasons.position, warn, drift, settings)
        sizes = self.current.counts.sum(axis=-1)
        bound = self.comparison.error_bound
        day_index, feature_index = (index.ravel() for index in np.indices((len(self.days), len(places))))

        def flat(values: NDArray[Any] | float) -> NDArray[Any]:
            return np.broadcast_to(values, sizes.shape)[:, places].ravel()

        features = pa.array(places[feature_index])
        group_of_row = pa.array(places[feature_index] // stack.features_per_group)

        def constant(value: str | float | None, kind: pa.DataType) -> pa.Array:
            return pa.repeat(pa.scalar(value, kind), len(day_index))

        columns: dict[str, pa.Array | NDArray[Any]] = {
            "dt": pa.array(self.days, pa.date32()).take(pa.array(day_index)),
            **{
                name: pa.array(values, pa.string()).take(group_of_row)
                for name, values in zip(GROUP, zip(*stack.groups, strict=True), strict=True)
            },
            "feature": pa.array(stack.whole.features, pa.string()).take(features),
            "window_days": constant(self.window_days, pa.int32()),
            "reference": constant(self.reference.name, pa.string()),
            "statistic": constant(self.statistic, pa.string()),
            "value": flat(self.comparison.value),
            "noise_floor": flat(self.comparison.noise_floor),
            "error_bound": flat(np.nan if bound is None else bound),
            "p_value": flat(self.comparison.p_value),
            "q_value": flat(q_values),
            "current_count": flat(sizes),
            "current_day_count": flat(self.current.day_count),
            "reference_count": flat(self.reference.counts.sum(axis=-1)),
            "warn_threshold": constant(warn, pa.float64()),
            "drift_threshold": constant(drift, pa.float64()),
            "outcome": pa.array(OUTCOMES, pa.string()).take(pa.array(flat(outcome))),
            "reason": pa.array(reasons.texts, pa.string()).take(pa.array(flat(reasons.position))),
        }
        schema = arrow_schema("feature_drift")
        return pa.table([_column(columns[field.name], field.type) for field in schema], schema=schema)


@dataclass(frozen=True, slots=True)
class _Reasons:
    """Why comparisons are not judged: positions in `texts`, shape (days, features), 0 if they are judged."""

    position: NDArray[np.int64]
    texts: Sequence[str | None]

    def with_undefined(self, is_undefined: NDArray[np.bool_]) -> _Reasons:
        """The same, where there was no reason and yet the statistic has no value: a side is all missing, for example."""
        is_unexplained = is_undefined & (self.position == 0)
        return _Reasons(np.where(is_unexplained, len(self.texts), self.position), (*self.texts, _UNDEFINED))


def _reasons(
    current: Window,
    last_day: Window,
    reference: Reference,
    expected_days: NDArray[np.int64],
    settings: DriftSettings,
) -> _Reasons:
    sizes, reference_sizes = current.counts.sum(axis=-1), reference.counts.sum(axis=-1)
    # While a version starts or ends, its window contains some weekdays and not others. This is not drift.
    needed_days = days_needed(settings.minimum_days_share, expected_days)
    are_too_few = current.day_count < needed_days[:, np.newaxis]
    conditions = {
        **reference.obstacles,
        "no training values to compare with": (reference_sizes == 0) & (reference.name == "training"),
        "no values in the reference": reference_sizes == 0,
        "no values in the window": sizes == 0,
        "no values on the day": last_day.day_count == 0,
        **{
            f"predictions on fewer than {days_needed(settings.minimum_days_share, expected)} of {expected} days": are_too_few
            & (expected_days == expected)[:, np.newaxis]
            for expected in np.unique(expected_days).tolist()
        },
        f"fewer than {settings.minimum_rows} rows in the window": sizes < settings.minimum_rows,
        f"fewer than {settings.minimum_rows} rows in the reference": reference_sizes < settings.minimum_rows,
    }
    if reference.day_count is not None and reference.length is not None:
        needed = days_needed(settings.minimum_days_share, reference.length)[:, np.newaxis]
        conditions["predictions on too few days of the reference"] = reference.day_count < needed
    matched = [np.broadcast_to(condition, sizes.shape) for condition in conditions.values()]
    return _Reasons(np.select(matched, list(range(1, len(matched) + 1)), default=0), (None, *conditions))


def _outcomes(
    comparison: Comparison,
    q_values: Floats,
    reason: NDArray[np.int64],
    warn: float | None,
    drift: float | None,
    settings: DriftSettings,
) -> NDArray[np.int64]:
    size = np.abs(comparison.value)
    is_believed = (size > comparison.noise_floor) & (q_values <= settings.false_alarm_rate)
    outcomes: NDArray[np.int64] = np.select(
        [
            (reason > 0) | np.isnan(comparison.value),
            ~is_believed,
            size >= (np.inf if drift is None else drift),
            size >= (0 if warn is None else warn),
        ],
        [_INSUFFICIENT, _STABLE, _DRIFT, _WARN],
        default=_STABLE,
    )
    return outcomes


def _column(values: pa.Array | NDArray[Any], kind: pa.DataType) -> pa.Array:
    return pa.array(values, kind, from_pandas=True) if isinstance(values, np.ndarray) else values
