"""How a model performs before labels come, from its scores and what scores have meant: pure functions that take arrays.

Confidence-based estimation: the probability that a score stands for a positive is learned from labels that are known,
and what a window's labels will say follows from its scores. It holds while scores keep their meaning; what changes that
(concept drift) shows when labels come, not before. Bins are ordered by ascending score. Not here: which labels and
predictions are counted (`driftlake.quality.measures`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from driftlake.maths.arrays import Counts, Floats
from driftlake.maths.ranking import CONFIDENCE, logit_interval, placements

_SMALLEST_PROBABILITY = 1e-15
# Fewer periods say little about how much periods differ.
_PERIODS_TO_COMPARE = 8


@dataclass(frozen=True, slots=True)
class Calibration:
    """Share of positives among scores of each bin, shape (bins,), never falling with the score.

    Bins that share a value are a block: `block` says which each bin is in, shape (bins,), and `block_variance` how
    uncertain the share of a block is, shape (bins,), zero beyond the last block. `surplus` is how many more positives each
    period had than these shares say, and `chance_variance` its variance were it chance alone, both of shape (periods, bins).
    `common_errors` are standard errors that move all shares together, each of its own cause, shape (causes, bins).
    `period_size` is how many labels the period of a label has, on average.
    """

    probability: Floats
    block: NDArray[np.int64]
    block_variance: Floats
    surplus: Floats
    chance_variance: Floats
    common_errors: Floats
    period_size: float = np.nan


def calibrate(positives: Counts, negatives: Counts) -> Calibration:
    """Learn what scores mean by isotonic regression (Zadrozny and Elkan 2002) on labels of shape (periods, bins).

    A bin without labels lies on the line between its neighbours. At least one bin must have labels.
    """
    by_period = positives + negatives
    learned = isotonic(positives.sum(axis=0), by_period.sum(axis=0))
    probability = learned.probability
    surplus = positives - by_period * probability
    chance_variance = by_period * probability * (1 - probability)
    return replace(learned, surplus=surplus, chance_variance=chance_variance, period_size=mean_period_size(by_period))


def mean_period_size(counts: Counts) -> float:
    """Labels in the period of a label on average, of labels of shape (periods, bins)."""
    sizes = counts.sum(axis=1).astype(float)
    return float((sizes**2).sum() / sizes.sum())


def isotonic(positives: Counts | Floats, counts: Counts | Floats) -> Calibration:
    """A calibration on labels of no particular period, which may be weighted, of shape (bins,)."""
    # it takes half a second to import, and most runs estimate nothing
    from scipy.optimize import isotonic_regression

    known = np.flatnonzero(counts)
    fit = isotonic_regression(positives[known] / counts[known], weights=counts[known])
    places = np.arange(len(counts))
    block_of_known = np.searchsorted(fit.blocks, np.arange(len(known)), side="right") - 1
    block = block_of_known[np.clip(np.searchsorted(known, places, side="right") - 1, 0, None)]
    block_variance = np.zeros(len(counts))
    shares, sizes = fit.x[fit.blocks[:-1]], np.add.reduceat(counts[known], fit.blocks[:-1])
    block_variance[: len(sizes)] = shares * (1 - shares) / sizes
    nothing = np.zeros((0, len(counts)))
    return Calibration(np.interp(places, known, fit.x), block, block_variance, nothing, nothing, nothing)


def overdispersion(calibration: Calibration, slopes: Floats, period_sizes: Floats | None = None) -> Floats:
    """How many times chance the periods differ in a sum over their labels, at least 1, shape (windows,).

    Labels of one period have more in common than their scores (a storm delays all flights), so that intervals from single
    labels would be too narrow: Pearson's statistic over its degrees of freedom (McCullagh and Nelder 1989). `slopes` are
    the weights of a positive per bin, shape (windows, bins). What the labels of a period have in common weighs more the more
    labels it has (Kish 1965): with `period_sizes`, shape (windows,), the factor is for periods of that many labels. Only
    what chance seldom gives is carried over to larger ones.
    """
    periods = calibration.chance_variance.any(axis=1)
    period_count = np.count_nonzero(periods)
    if period_count < _PERIODS_TO_COMPARE:
        return np.ones(len(slopes))
    # window by window: the last digits of a matrix product depend on how many windows there are
    found = np.array([((calibration.surplus * slope).sum(axis=1) ** 2).sum() for slope in slopes])
    expected = (calibration.chance_variance.sum(axis=0) * slopes**2).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio: Floats = np.fmax(found * period_count / (period_count - 1) / expected, 1)
    if period_sizes is None:
        return ratio
    by_chance = np.sqrt(2 / (period_count - 1))
    growth = np.maximum(period_sizes / calibration.period_size, 1)
    of_size: Floats = np.maximum(ratio, 1 + np.maximum(ratio - 1 - by_chance, 0) * growth)
    return of_size


@dataclass(frozen=True, slots=True)
class Estimate:
    """An expected value and its 95 % interval for what the labels will say, each of shape (windows,)."""

    value: Floats
    standard_error: Floats
    confidence_low: Floats
    confidence_high: Floats


class Estimator:
    """Estimates over windows: `predictions` and `score_sums` per bin, shape (windows, bins), each with its calibration.

    An interval covers the chance in the labels to come and the uncertainty of the calibration, by the delta method. What is
    of single labels counts as many times as the periods of the calibration differed by more than chance.
    """

    def __init__(
        self,
        predictions: Counts,
        score_sums: Floats,
        calibrations: Sequence[Calibration],
        period_counts: NDArray[np.int64],
    ) -> None:
        self._predictions = predictions
        self._period_sizes = predictions.sum(axis=-1) / period_counts
        self._calibrations = calibrations
        self._total = predictions.sum(axis=-1)[:, np.newaxis]
        with np.errstate(divide="ignore", invalid="ignore"):
            self._mean_score = score_sums / predictions
        self._probability = _stacked([calibration.probability for calibration in calibrations], predictions)
        self._block = _stacked([calibration.block for calibration in calibrations], predictions).astype(np.int64)
        self._block_variance = _stacked([calibration.block_variance for calibration in calibrations], predictions)

    def auc(self) -> Estimate:
        """AUC by Mann-Whitney over expected positives and negatives."""
        positives = self._predictions * self._probability
        negatives = self._predictions - positives
        with np.errstate(divide="ignore", invalid="ignore"):
            positive_placement, negative_placement = placements(positives, negatives)
            positive_count, negative_count = positives.sum(axis=-1), negatives.sum(axis=-1)
            value = (positives * positive_placement).sum(axis=-1) / positive_count
            slope = (positive_placement - value[:, np.newaxis]) / positive_count[:, np.newaxis]
            slope -= (negative_placement - value[:, np.newaxis]) / negative_count[:, np.newaxis]
            error = self._standard_error(slope)
            return Estimate(value, error, *logit_interval(value, error))

    def accuracy(self, share_above_cut: Floats) -> Estimate:
        """Share of predictions that are right; `share_above_cut` of each bin is taken as positive, shape (windows, bins)."""
        right = share_above_cut * self._probability + (1 - share_above_cut) * (1 - self._probability)
        return self._mean(right, 2 * share_above_cut - 1, upper=1)

    def positive_rate(self) -> Estimate:
        """Share of positives."""
        return self._mean(self._probability, np.ones_like(self._probability), upper=1)

    def log_loss(self) -> Estimate:
        """Mean of -ln(probability given to what happens), the scores being probabilities."""
        score = np.clip(np.nan_to_num(self._mean_score), _SMALLEST_PROBABILITY, 1 - _SMALLEST_PROBABILITY)
        positive, negative = -np.log(score), -np.log1p(-score)
        expected = self._probability * positive + (1 - self._probability) * negative
        return self._mean(expected, positive - negative, upper=np.inf)

    def _mean(self, expected: Floats, slope: Floats, *, upper: float) -> Estimate:
        """Mean over predictions of what is expected of each; `slope` is its derivative by the probability."""
        with np.errstate(divide="ignore", invalid="ignore"):
            value = (self._predictions * expected / self._total).sum(axis=-1)
            error = self._standard_error(slope / self._total)
        width = special.ndtri((1 + CONFIDENCE) / 2) * error
        return Estimate(value, error, np.maximum(value - width, 0), np.minimum(value + width, upper))

    def _standard_error(self, slope: Floats) -> Floats:
        """`slope` is the derivative by the probability of one prediction, shape (windows, bins)."""
        chance = (self._predictions * slope**2 * self._probability * (1 - self._probability)).sum(axis=-1)
        window = np.arange(len(slope))[:, np.newaxis] * slope.shape[1]
        moved = np.bincount(
            (window + self._block).ravel(), weights=(self._predictions * slope).ravel(), minlength=slope.size
        )
        learned = (moved.reshape(slope.shape) ** 2 * self._block_variance).sum(axis=-1)
        weights = np.nan_to_num(slope)
        chance, learned = (
            chance * self._overdispersion(weights, self._period_sizes),
            learned * self._overdispersion(weights),
        )
        error: Floats = np.sqrt(chance + learned + self._common(slope))
        return error

    def _common(self, slope: Floats) -> Floats:
        """Variance from errors that move all shares together, shape (windows,)."""
        moved = self._predictions * slope
        pairs = zip(self._calibrations, moved, strict=True)
        return np.array([(((learned.common_errors * row).sum(axis=-1)) ** 2).sum() for learned, row in pairs])

    def _overdispersion(self, slope: Floats, period_sizes: Floats | None = None) -> Floats:
        factors = np.ones(len(slope))
        windows: dict[int, list[int]] = {}
        for window, calibration in enumerate(self._calibrations):
            windows.setdefault(id(calibration), []).append(window)
        for places in windows.values():
            sizes = None if period_sizes is None else period_sizes[places]
            factors[places] = overdispersion(self._calibrations[places[0]], slope[places], sizes)
        return factors


def _stacked(rows: Sequence[Any], predictions: Counts) -> NDArray[Any]:
    """One row per window, also of no windows."""
    return np.array(rows).reshape(predictions.shape)
