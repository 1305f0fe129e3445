"""Daily values of performance metrics, and intervals that treat days as clusters: pure functions of arrays.

Labels of one day are correlated even for equal scores (a storm delays every flight). Therefore intervals treat days, not
rows, as independent (Obuchowski 1997 for AUC). Every metric is expressed as a mean of daily values: the value of a day is
the metric plus the influence of the day on it. Bins are in ascending order of the score. Not here: tests over nights
(`driftlake.maths.sequential`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from driftlake.maths.arrays import Floats
from driftlake.maths.ranking import CONFIDENCE

# With fewer days, the variation between days is unknown.
FEWEST_DAYS = 8
# Days that are more than this many days apart are assumed to be independent.
_LAGS = 3


@dataclass(frozen=True, slots=True)
class ClusteredMean:
    """Means of daily values with standard errors and 95 % intervals, each of shape (...); nan with fewer than FEWEST_DAYS days."""

    value: Floats
    standard_error: Floats
    confidence_low: Floats
    confidence_high: Floats
    day_count: NDArray[np.int64]

    @classmethod
    def of(cls, value: Floats, standard_error: Floats, day_count: NDArray[np.int64]) -> ClusteredMean:
        """With intervals from the t distribution; its degrees of freedom are the number of days minus 1."""
        return cls(value, standard_error, *interval(value, standard_error, day_count), day_count)

    @property
    def p_value(self) -> Floats:
        """Two-sided p-value of Student's t test for a mean of 0."""
        with np.errstate(divide="ignore", invalid="ignore"):
            found: Floats = 2 * special.stdtr(self.day_count - 1, -np.abs(self.value / self.standard_error))
        return np.asarray(np.where(self.standard_error == 0, self.value == 0, found))


def daily_auc(positives: Floats, negatives: Floats, *, window_days: int) -> Floats:
    """AUC of each day against the window that ends with it, shape (days,), from counts of shape (days, bins).

    Rows of the day are ranked among all rows of the window, and a day is weighted by its share of the rows. Therefore the mean
    over the days of a window is approximately the AUC of all rows of the window, not the mean of the daily AUCs. nan for days
    without rows, and if the window has rows of one class only.
    """
    window_positives, window_negatives = _rolling(positives, window_days), _rolling(negatives, window_days)
    day_count = _rolling(((positives + negatives).sum(axis=1) > 0).astype(float), window_days)
    return _auc_values(positives, negatives, window_positives, window_negatives, day_count)


def merged_bins(positives: Floats, negatives: Floats, largest_count: int) -> tuple[Floats, Floats]:
    """Counts of shape (days, bins) with neighbouring bins merged into about `largest_count` bins of similar size."""
    if positives.shape[1] <= largest_count:
        return positives, negatives
    seen = np.cumsum((positives + negatives).sum(axis=0))
    part = np.minimum(seen * largest_count // max(seen[-1], 1), largest_count - 1)
    starts = np.flatnonzero(np.diff(part, prepend=-1))
    return np.add.reduceat(positives, starts, axis=1), np.add.reduceat(negatives, starts, axis=1)


def daily_mean(sums: Floats, counts: Floats, *, window_days: int) -> Floats:
    """The mean of each day, weighted by its share of the rows in the window that ends with it, shape (..., days).

    `sums` and `counts` have shape (..., days). nan for days without rows.
    """
    window_sums, window_counts, day_count = (
        _rolling(values, window_days, axis=-1) for values in (np.nan_to_num(sums), counts, (counts > 0).astype(float))
    )
    return _mean_values(sums, counts, window_sums, window_counts, day_count)


def pooled_auc(classes: Sequence[tuple[Floats, Floats]]) -> ClusteredMean:
    """AUC of all rows of the days, with days as clusters; for several classes, the mean of their AUCs.

    `classes` has for each class the counts of positives and of negatives, shape (days, bins).
    """
    return clustered_mean(auc_influences(classes))


def auc_influences(classes: Sequence[tuple[Floats, Floats]]) -> Floats:
    """Daily values whose mean is `pooled_auc`, shape (days,); nan for days without rows."""
    return np.asarray(np.mean([_influences(*counts) for counts in classes], axis=0))


def pooled_auc_difference(first: tuple[Floats, Floats], second: tuple[Floats, Floats]) -> ClusteredMean:
    """AUC of one score minus AUC of another score on the same rows, with days as clusters.

    `first` and `second` are the positives and negatives by each score, shape (days, bins).

    Effects of a day on both AUCs cancel out, so the interval is narrower than that of either AUC.
    """
    return clustered_mean(_influences(*first) - _influences(*second))


def _influences(positives: Floats, negatives: Floats) -> Floats:
    """Daily values whose mean is the AUC of all rows, shape (days,)."""
    has_rows = (positives + negatives).sum(axis=1) > 0
    totals = positives.sum(axis=0, keepdims=True), negatives.sum(axis=0, keepdims=True)
    return _auc_values(positives, negatives, *totals, np.array([has_rows.sum()]))


def pooled_mean(sums: Floats, counts: Floats) -> ClusteredMean:
    """Mean over all rows of the days, with days as clusters; `sums` and `counts` have shape (..., days)."""
    return clustered_mean(mean_influences(sums, counts))


def mean_influences(sums: Floats, counts: Floats) -> Floats:
    """Daily values whose mean is `pooled_mean`, shape (..., days); nan for days without rows."""
    totals = (np.nansum(values, axis=-1, keepdims=True) for values in (sums, counts, counts > 0))
    return _mean_values(sums, counts, *totals)


def daily_macro_mean(sums: Floats, counts: Floats, *, window_days: int) -> Floats:
    """The mean over classes of their `daily_mean`, shape (days,); `sums` and `counts` have shape (classes, days).

    A class without rows in the window does not count. On a day without rows of a class, the mean of the window is used for it.
    """
    window_sums, window_counts, has_rows = (
        _rolling(values, window_days, axis=-1) for values in (sums, counts, counts.any(axis=0).astype(float))
    )
    return _macro_values(sums, counts, window_sums, window_counts, has_rows)


def macro_mean_influences(sums: Floats, counts: Floats) -> Floats:
    """Daily values whose mean is the mean over classes of sum / count, shape (days,); nan for days without rows."""
    totals = (values.sum(axis=-1, keepdims=True) for values in (sums, counts, counts.any(axis=0)))
    return _macro_values(sums, counts, *totals)


def interval(value: Floats, standard_error: Floats, day_count: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """95 % interval of means over days, from the t distribution; nan with too few days."""
    width = special.stdtrit(np.maximum(day_count - 1, 1), (1 + CONFIDENCE) / 2) * standard_error
    is_known = (day_count >= FEWEST_DAYS) & np.isfinite(standard_error)
    return np.where(is_known, value - width, np.nan), np.where(is_known, value + width, np.nan)


def _auc_values(
    positives: Floats, negatives: Floats, window_positives: Floats, window_negatives: Floats, day_count: Floats
) -> Floats:
    positive_total, negative_total = window_positives.sum(axis=1), window_negatives.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        below = (np.cumsum(window_negatives, axis=1) - window_negatives / 2) / negative_total[:, np.newaxis]
        above = 1 - (np.cumsum(window_positives, axis=1) - window_positives / 2) / positive_total[:, np.newaxis]
        auc = (window_positives * below).sum(axis=1) / positive_total
        of_positives = (positives * (below - auc[:, np.newaxis])).sum(axis=1) / positive_total
        of_negatives = (negatives * (above - auc[:, np.newaxis])).sum(axis=1) / negative_total
        values = auc + day_count * (of_positives + of_negatives)
    has_rows = (positives + negatives).sum(axis=1) > 0
    return np.where(has_rows, values, np.nan)


def _mean_values(sums: Floats, counts: Floats, window_sums: Floats, window_counts: Floats, day_count: Floats) -> Floats:
    values = _around_the_mean(sums, counts, window_sums, window_counts, day_count)
    return np.where(counts > 0, values, np.nan)


def _macro_values(
    sums: Floats, counts: Floats, window_sums: Floats, window_counts: Floats, day_count: Floats
) -> Floats:
    values = _around_the_mean(sums, counts, window_sums, window_counts, day_count)
    is_counted = np.broadcast_to(window_counts > 0, values.shape)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean: Floats = np.where(is_counted, values, 0).sum(axis=0) / is_counted.sum(axis=0)
    return np.where(counts.any(axis=0), mean, np.nan)


def _around_the_mean(
    sums: Floats, counts: Floats, window_sums: Floats, window_counts: Floats, day_count: Floats
) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = window_sums / window_counts
        values: Floats = mean + day_count * (np.nan_to_num(sums) - counts * mean) / window_counts
    return values


def clustered_mean(values: Floats) -> ClusteredMean:
    """Mean over days with its interval; `values` have shape (..., days), nan for days without a value."""
    is_known = np.isfinite(values)
    count = is_known.sum(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.where(is_known, values, 0).sum(axis=-1) / count
        error = np.sqrt(long_run_variance(values) / count)
    return ClusteredMean.of(mean, np.where(count < FEWEST_DAYS, np.nan, error), count)


def long_run_variance(values: Floats) -> Floats:
    """Variance of daily values, including the covariance of neighbouring days (Newey and West 1987).

    Values have shape (..., days); days without a value (nan) are left out. The result is at least the variance of independent
    days, so that a negative correlation by chance does not narrow an interval.
    """
    known, count = compacted(values)
    is_known = np.arange(values.shape[-1]) < count[..., np.newaxis]
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = known.sum(axis=-1, keepdims=True) / count[..., np.newaxis]
        deviations = np.where(is_known, known - mean, 0)
        variance = np.square(deviations).sum(axis=-1) / (count - 1)
        total = variance
        for lag in range(1, _LAGS + 1):
            weight = 1 - lag / (_LAGS + 1)
            total = total + 2 * weight * (deviations[..., lag:] * deviations[..., :-lag]).sum(axis=-1) / (count - 1)
    return np.asarray(np.maximum(total, variance))


def compacted(values: Floats) -> tuple[Floats, NDArray[np.int64]]:
    """The finite values in their order, followed by zeros, shape (..., days), and their number, shape (...)."""
    is_known = np.isfinite(values)
    order = np.argsort(~is_known, axis=-1, kind="stable")
    return np.take_along_axis(np.where(is_known, values, 0), order, axis=-1), is_known.sum(axis=-1)


def _rolling(values: Floats, window_days: int, axis: int = 0) -> Floats:
    total = np.cumsum(values, axis=axis, dtype=float)
    rolled = total.copy()
    rolled, before = (np.moveaxis(each, axis, 0) for each in (rolled, total))
    rolled[window_days:] -= before[:-window_days]
    return np.moveaxis(rolled, 0, axis)
