"""PCA reconstruction error: pure functions that measure how badly the components of the training data describe rows of bins.

Not here: samples (`driftlake.profiles.row_samples`), windows and judgements (`driftlake.drift.multivariate`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from driftlake.maths.arrays import Counts, Floats, Indices
from driftlake.maths.binning import ABOVE, BELOW, FIRST_RANGE, MISSING, FeatureBins
from driftlake.maths.divergence import NOISE_QUANTILE

# Share of the variance that the components keep; NannyML's default.
EXPLAINED_SHARE = 0.65
# Resamples per p-value; a p-value is a multiple of 1 / (RESAMPLES + 1).
RESAMPLES = 1999

# Rows added to every range, so that the bins outside the training range get a number, too.
_SMOOTHING = 0.5
# Further digits depend on the order in which a processor adds.
_DIGITS = 9
_RESAMPLES_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Encoding:
    """Numbers that stand for the bins of features: a table per feature, shape (bins, columns of the feature).

    In training, columns have mean zero and all features the same variance, whatever their kind. Whether a value is
    missing counts as a feature of its own. A feature that is constant in training has no columns.
    """

    tables: Sequence[Floats]

    @classmethod
    def of(cls, features: Sequence[FeatureBins], counts: Sequence[Counts]) -> Encoding:
        """Learn from the training counts of each feature, shape (bins,)."""
        return cls(
            [
                category_numbers(bins.coarse_ids, of_bins) if bins.grid is None else range_numbers(of_bins)
                for bins, of_bins in zip(features, counts, strict=True)
            ]
        )

    @property
    def varying_count(self) -> int:
        """Features that vary in training."""
        return sum(table.shape[1] > 0 for table in self.tables)

    def encode(self, bins: Indices) -> Floats:
        """Rows of bins, shape (rows, features), as numbers, shape (rows, columns)."""
        return np.concatenate([table[of_rows] for table, of_rows in zip(self.tables, bins.T, strict=True)], axis=1)


def range_numbers(counts: Counts) -> Floats:
    """Normal scores of ranges: quantiles of the normal distribution at their mid-ranks, shape (bins, 0 to 2).

    Mean 0 and variance 1 over the training rows that have a value (van der Waerden 1952). Missing values get the mean.
    If training has missing values, a second column says whether a value is missing.
    """
    order = [BELOW, *range(FIRST_RANGE, len(counts)), ABOVE]
    weights = counts[order] + _SMOOTHING
    scores = np.zeros(len(counts))
    scores[order] = special.ndtri((np.cumsum(weights) - weights / 2) / weights.sum())
    present = counts.astype(np.float64)
    present[MISSING] = 0
    columns = [_standardised(scores, present), _standardised(np.arange(len(counts)) == MISSING, counts)]
    columns[0][:, MISSING] = 0
    return np.concatenate(columns).T


def category_numbers(coarse_ids: Indices, counts: Counts) -> Floats:
    """Indicators of the coarse categories that training has, (1 or 0 - p) / sqrt(p (K - 1)), shape (bins, 0 or K).

    p is the share of a category and K the number of categories. These are the weights of a multiple correspondence
    analysis, scaled so that the feature has variance 1 like a number (factor analysis of mixed data, Pages 2004).
    """
    shares = np.bincount(coarse_ids, counts) / max(counts.sum(), 1)
    [known] = np.nonzero(shares)
    if len(known) < 2:
        return np.empty((len(counts), 0))
    of_known = shares[known]
    numbers: Floats = ((coarse_ids[:, np.newaxis] == known) - of_known) / np.sqrt(of_known * (len(known) - 1))
    return numbers


def _standardised(values: Floats, counts: Floats | Counts) -> Floats:
    """Values scaled to mean 0 and variance 1, shape (1, bins); shape (0, bins) if all rows have the same value."""
    [present] = np.nonzero(counts)
    if len(present) < 2 or np.ptp(values[present].astype(np.float64)) == 0:
        return np.empty((0, len(values)))
    mean = np.average(values, weights=counts)
    deviation = np.sqrt(np.average((values - mean) ** 2, weights=counts))
    standardised: Floats = ((values - mean) / deviation)[np.newaxis]
    return standardised


@dataclass(frozen=True, slots=True)
class Components:
    """The principal components that are kept: `mean` has shape (columns,), `axes` (components, columns)."""

    mean: Floats
    axes: Floats

    @classmethod
    def fit(cls, rows: Floats) -> Components:
        """The fewest components of rows, shape (n, columns), that explain more than EXPLAINED_SHARE of the variance."""
        mean = rows.mean(axis=0)
        variances, vectors = np.linalg.eigh(np.cov(rows, rowvar=False))
        explained = np.cumsum(variances[::-1])
        kept = int(np.searchsorted(explained, EXPLAINED_SHARE * explained[-1], side="right")) + 1
        return cls(mean, vectors.T[::-1][:kept])

    def errors(self, rows: Floats) -> Floats:
        """Reconstruction error of each row, shape (n,): its Euclidean distance to the space of the components.

        0 or more. It says how far a row deviates from the linear relations of the training data. It misses changes that
        keep these relations (movements within the space of the components) and relations that are not linear in normal
        scores.
        """
        centred = rows - self.mean
        residuals = centred - (centred @ self.axes.T) @ self.axes
        distances: Floats = np.sqrt(np.square(residuals).sum(axis=1)).round(_DIGITS)
        return distances


@dataclass(frozen=True, slots=True)
class MeanTest:
    """Differences between two means of errors without drift, shape (RESAMPLES,), and the mean over all rows."""

    mean: float
    differences: Floats

    @classmethod
    def of(cls, errors: Floats, window_means: Floats, training_means: Floats) -> MeanTest:
        """Take training errors, shape (n,), and two sets of `resampled_means` of them: of the size of the window and of size n.

        This is the bootstrap of two samples from one distribution (Efron and Tibshirani 1993, chapter 16), which
        includes the noise of both sides.
        """
        return cls(float(errors.mean()), np.abs(window_means - training_means))

    def p_value(self, mean: float) -> float:
        """Two-sided probability that, without drift, the mean of a window is at least as far from the mean of training."""
        as_far = np.count_nonzero(self.differences >= abs(mean - self.mean))
        return (1 + as_far) / (1 + len(self.differences))

    @property
    def noise_floor(self) -> float:
        """The 99th percentile of the absolute difference of windows without drift."""
        return float(np.quantile(self.differences, NOISE_QUANTILE))


def resampled_means(errors: Floats, size: int, generator: np.random.Generator) -> Floats:
    """Means of `size` errors drawn with replacement, shape (RESAMPLES,)."""
    pieces = [
        errors[generator.integers(0, len(errors), (min(_RESAMPLES_AT_ONCE, RESAMPLES - start), size))].mean(axis=1)
        for start in range(0, RESAMPLES, _RESAMPLES_AT_ONCE)
    ]
    return np.concatenate(pieces)
