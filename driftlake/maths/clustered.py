"""Performance day by day, and intervals that take days as clusters: pure functions that take arrays.

The labels of one day have more in common than their scores (a storm delays every flight), so the day and not the row is
the unit of an interval (Obuchowski 1997 for AUC). Every metric is written as a mean of daily values: the value of a day is
the metric plus the influence of the day on it. Bins are ordered by ascending score. Not here: tests over nights
(`driftlake.maths.sequential`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from driftlake.maths.arrays import Floats
from driftlake.maths.ranking import CONFIDENCE

# With fewer days, how much days differ is not known.
FEWEST_DAYS = 8
# Days apart from which days are taken as independent of each other.
_LAGS = 3


@dataclass(frozen=True, slots=True)
class ClusteredMean:
    """A mean of daily values with its standard error and 95 % interval; nan with fewer than FEWEST_DAYS days."""

    value: float
    standard_error: float
    confidence_low: float
    confidence_high: float
    day_count: int

    @property
    def p_value(self) -> float:
        """Probability of a mean at least this far from 0 if that of all days is 0, by Student's t."""
        if self.standard_error == 0:
            return float(self.value == 0)
        return float(2 * special.stdtr(self.day_count - 1, -abs(self.value / self.standard_error)))


def daily_auc(positives: Floats, negatives: Floats, *, window_days: int) -> Floats:
    """AUC of each day against the window that ends with it, shape (days,), from counts of shape (days, bins).

    Rows of the day are ranked among all rows of the window, and a day weighs by its share of the rows, so that the mean over
    the days of a window is about the pooled AUC of the window rather than the mean of the AUCs within days. nan for days
    without rows and while the window has rows of one class only.
    """
    window_positives, window_negatives = _rolling(positives, window_days), _rolling(negatives, window_days)
    day_count = _rolling(((positives + negatives).sum(axis=1) > 0).astype(float), window_days)
    return _auc_values(positives, negatives, window_positives, window_negatives, day_count)


def merged_bins(positives: Floats, negatives: Floats, largest_count: int) -> tuple[Floats, Floats]:
    """Counts of shape (days, bins) in about `largest_count` bins of as many rows each at most, neighbours merged."""
    if positives.shape[1] <= largest_count:
        return positives, negatives
    seen = np.cumsum((positives + negatives).sum(axis=0))
    part = np.minimum(seen * largest_count // max(seen[-1], 1), largest_count - 1)
    starts = np.flatnonzero(np.diff(part, prepend=-1))
    return np.add.reduceat(positives, starts, axis=1), np.add.reduceat(negatives, starts, axis=1)


def daily_mean(sums: Floats, counts: Floats, *, window_days: int) -> Floats:
    """The mean of each day, weighed by its share of the rows of the window that ends with it, shape (days,).

    `sums` and `counts` have shape (days,). nan for days without rows.
    """
    window_sums, window_counts = _rolling(np.nan_to_num(sums), window_days), _rolling(counts, window_days)
    day_count = _rolling((counts > 0).astype(float), window_days)
    return _mean_values(sums, counts, window_sums, window_counts, day_count)


def pooled_auc(classes: Sequence[tuple[Floats, Floats]]) -> ClusteredMean:
    """AUC of all rows of some days, days as clusters: of each class counts of positives and negatives, shape (days, bins).

    Of several classes it is the mean of their AUCs.
    """
    return _clustered(np.mean([_influences(*counts) for counts in classes], axis=0))


def pooled_auc_difference(first: tuple[Floats, Floats], second: tuple[Floats, Floats]) -> ClusteredMean:
    """AUC of a score less that of another of the same rows, days as clusters: of each, positives and negatives as above.

    What a day does to both scores cancels, so the interval is narrower than that of either AUC.
    """
    return _clustered(_influences(*first) - _influences(*second))


def _influences(positives: Floats, negatives: Floats) -> Floats:
    """Values of days whose mean is the AUC of all rows, shape (days,)."""
    has_rows = (positives + negatives).sum(axis=1) > 0
    totals = positives.sum(axis=0, keepdims=True), negatives.sum(axis=0, keepdims=True)
    return _auc_values(positives, negatives, *totals, np.array([has_rows.sum()]))


def pooled_mean(sums: Floats, counts: Floats) -> ClusteredMean:
    """Mean over all rows of some days, days as clusters; `sums` and `counts` have shape (days,)."""
    values = _mean_values(
        sums, counts, np.nansum(sums, keepdims=True), counts.sum(keepdims=True), np.array([(counts > 0).sum()])
    )
    return _clustered(values)


def interval(value: float, standard_error: float, day_count: int) -> tuple[float, float]:
    """95 % interval of a mean over days, by the t distribution of its days."""
    if day_count < FEWEST_DAYS or not np.isfinite(standard_error):
        return np.nan, np.nan
    width = float(special.stdtrit(day_count - 1, (1 + CONFIDENCE) / 2)) * standard_error
    return value - width, value + width


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
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = window_sums / window_counts
        values: Floats = mean + day_count * (np.nan_to_num(sums) - counts * mean) / window_counts
    return np.where(counts > 0, values, np.nan)


def _clustered(values: Floats) -> ClusteredMean:
    known = values[np.isfinite(values)]
    count = len(known)
    if not count:
        return ClusteredMean(np.nan, np.nan, np.nan, np.nan, 0)
    value = float(known.mean())
    if count < FEWEST_DAYS:
        return ClusteredMean(value, np.nan, np.nan, np.nan, count)
    error = float(np.sqrt(long_run_variance(known) / count))
    return ClusteredMean(value, error, *interval(value, error, count), count)


def long_run_variance(values: Floats) -> float:
    """Variance of daily values with what days near each other have in common (Newey and West 1987), shape (days,).

    Never below the variance of independent days, so that a chance negative correlation narrows no interval.
    """
    count = len(values)
    deviations = values - values.mean()
    variance = float((deviations**2).sum() / (count - 1))
    total = variance
    for lag in range(1, min(_LAGS, count - 1) + 1):
        weight = 1 - lag / (_LAGS + 1)
        total += 2 * weight * float((deviations[lag:] * deviations[:-lag]).sum() / (count - 1))
    return max(total, variance)


def _rolling(values: Floats, window_days: int) -> Floats:
    total = np.cumsum(values, axis=0, dtype=float)
    rolled = total.copy()
    rolled[window_days:] -= total[:-window_days]
    return rolled
