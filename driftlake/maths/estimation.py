"""Estimates the performance of a model before labels arrive, from its scores and a calibration: pure functions that take arrays.

This is confidence-based estimation. The probability that a score belongs to a positive is learned from known labels. The
expected labels of a window follow from its scores. Estimates are valid as long as scores keep their meaning. If that changes
(concept drift), only labels show it. Bins are ordered by ascending score. Not here: which labels and
predictions are counted (`driftlake.quality.measures`), and how far days differ (`driftlake.maths.periods`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from driftlake.maths.arrays import Counts, Floats
from driftlake.maths.periods import SPREADS, persistence, spread_effects, steady_drift
from driftlake.maths.ranking import CONFIDENCE, logit_interval, placements

_SMALLEST_PROBABILITY = 1e-15
# A period whose labels are all certain says nothing about its level.
_LEAST_INFORMATION = 1e-12
# Bisection steps for a quantile of a mixture.
_BISECTIONS = 40


@dataclass(frozen=True, slots=True)
class Calibration:
    """Share of positives among scores of each bin, shape (bins,), never falling with the score.

    Attributes
    ----------
    centre : centre of the intervals, shape (bins,): `probability`, unless that is shrunk
    block : number of the block of each bin, shape (bins,); bins with the same value form a block
    block_variance : variance of the share of each block, shape (bins,), zero beyond the last block
    surplus : positives of each period beyond those that these shares predict, shape (periods, bins)
    chance_variance : variance of `surplus` by chance alone, shape (periods, bins)
    period_labels, period_ages : labels of each period, and its age in days, shape (periods,)
    common_errors : standard errors that move all shares together, one row per cause, shape (causes, bins)
    """

    probability: Floats
    centre: Floats
    block: NDArray[np.int64]
    block_variance: Floats
    surplus: Floats
    chance_variance: Floats
    period_labels: Floats
    period_ages: Floats
    common_errors: Floats


def calibrate(positives: Counts, negatives: Counts, ages: Floats | None = None) -> Calibration:
    """Learn what scores mean by isotonic regression (Zadrozny and Elkan 2002) on labels of shape (periods, bins).

    `ages` is how many days ago each period was; without it they are the days up to now.
    A bin without labels lies on the line between its neighbours. At least one bin must have labels.
    """
    by_period = positives + negatives
    learned = isotonic(positives.sum(axis=0), by_period.sum(axis=0))
    return with_periods(learned, learned.probability, positives, by_period, ages)


def with_periods(
    learned: Calibration, probability: Floats, positives: Counts, counts: Counts, ages: Floats | None
) -> Calibration:
    """A calibration that knows how far each period was from `probability`; labels are of shape (periods, bins)."""
    labels = counts.sum(axis=1)
    is_known = labels > 0
    if ages is None:
        ages = np.arange(len(labels) - 1.0, -1, -1)
    positives, counts = positives[is_known], counts[is_known]
    return replace(
        learned,
        surplus=positives - counts * probability,
        chance_variance=counts * probability * (1 - probability),
        period_labels=labels[is_known].astype(float),
        period_ages=ages[is_known],
    )


def isotonic(positives: Counts | Floats, counts: Counts | Floats) -> Calibration:
    """A calibration on labels of no particular period, which may be weighted, of shape (bins,)."""
    known = np.flatnonzero(counts)
    shares, sizes, lengths = _pooled(positives[known], counts[known])
    places = np.arange(len(counts))
    block_of_known = np.repeat(np.arange(len(sizes)), lengths)
    block = block_of_known[np.clip(np.searchsorted(known, places, side="right") - 1, 0, None)]
    block_variance = np.zeros(len(counts))
    block_variance[: len(sizes)] = shares * (1 - shares) / sizes
    nothing, probability = np.zeros((0, len(counts))), np.interp(places, known, np.repeat(shares, lengths))
    return Calibration(
        probability, probability, block, block_variance, nothing, nothing, np.zeros(0), np.zeros(0), nothing
    )


def _pooled(positives: Counts | Floats, counts: Counts | Floats) -> tuple[Floats, Floats, NDArray[np.int64]]:
    """The blocks of neighbouring bins with the same share in an isotonic regression: share, count, and number of bins.

    Pool adjacent violators (Ayer et al., 1955). SciPy has it, but its package for optimisation takes 0.3 s to import.
    """
    blocks: list[tuple[float, float, int]] = []
    for of_bin in zip(positives.tolist(), counts.tolist(), strict=True):
        positive, count, length = *of_bin, 1
        while blocks and blocks[-1][0] * count >= positive * blocks[-1][1]:
            earlier = blocks.pop()
            positive, count, length = positive + earlier[0], count + earlier[1], length + earlier[2]
        blocks.append((positive, count, length))
    pooled, sizes, lengths = (np.array(part) for part in zip(*blocks, strict=True))
    return pooled / sizes, sizes, lengths


@dataclass(frozen=True, slots=True)
class Estimate:
    """An expected value, and the 95 % interval for the value that the labels will give, each of shape (windows,)."""

    value: Floats
    standard_error: Floats
    confidence_low: Floats
    confidence_high: Floats


class Estimator:
    """Estimates over windows: `predictions` and `score_sums` per bin, shape (windows, bins), each with its calibration.

    `period_counts` are the days with predictions of each window, and `known_shares` the shares of its labels from which its
    calibration has learned, both of shape (windows,). An interval covers the random variation of the coming labels, the
    uncertainty of the calibration (delta method), and the size and persistence of differences between periods. It contains
    95 % of a mixture of normal distributions, one for each size of the differences.
    """

    def __init__(
        self,
        predictions: Counts,
        score_sums: Floats,
        calibrations: Sequence[Calibration],
        period_counts: NDArray[np.int64],
        known_shares: Floats | None = None,
    ) -> None:
        self._predictions = predictions
        self._period_counts = period_counts
        self._known_shares = np.zeros(len(predictions)) if known_shares is None else known_shares
        self._calibrations = calibrations
        self._total = predictions.sum(axis=-1)[:, np.newaxis]
        with np.errstate(divide="ignore", invalid="ignore"):
            self._mean_score = score_sums / predictions
        self._probability = _stacked([calibration.probability for calibration in calibrations], predictions)
        self._centre = _stacked([calibration.centre for calibration in calibrations], predictions)
        self._block = _stacked([calibration.block for calibration in calibrations], predictions).astype(np.int64)
        self._block_variance = _stacked([calibration.block_variance for calibration in calibrations], predictions)

    def auc(self) -> Estimate:
        """AUC by Mann-Whitney over expected positives and negatives."""
        value, _ = self._auc(self._probability)
        middle, slope = self._auc(self._centre)
        error = self._standard_error(slope)
        with np.errstate(divide="ignore", invalid="ignore"):
            return _around(value, error, *logit_interval(middle, error))

    def accuracy(self, share_above_cut: Floats) -> Estimate:
        """Share of predictions that are right; `share_above_cut` of each bin is taken as positive, shape (windows, bins)."""
        return self._mean(share_above_cut, 1 - share_above_cut, upper=1)

    def positive_rate(self) -> Estimate:
        """Share of positives."""
        return self._mean(np.ones_like(self._probability), np.zeros_like(self._probability), upper=1)

    def log_loss(self) -> Estimate:
        """Mean of -ln(probability given to what happens), the scores being probabilities."""
        score = np.clip(np.nan_to_num(self._mean_score), _SMALLEST_PROBABILITY, 1 - _SMALLEST_PROBABILITY)
        return self._mean(-np.log(score), -np.log1p(-score), upper=np.inf)

    def _auc(self, probability: Floats) -> tuple[Floats, Floats]:
        """AUC, shape (windows,), and its derivative by the share of positives of one prediction, shape (windows, bins)."""
        positives = self._predictions * probability
        negatives = self._predictions - positives
        with np.errstate(divide="ignore", invalid="ignore"):
            positive_placement, negative_placement = placements(positives, negatives)
            positive_count, negative_count = positives.sum(axis=-1), negatives.sum(axis=-1)
            value = (positives * positive_placement).sum(axis=-1) / positive_count
            slope = (positive_placement - value[:, np.newaxis]) / positive_count[:, np.newaxis]
            slope -= (negative_placement - value[:, np.newaxis]) / negative_count[:, np.newaxis]
        return value, slope

    def _mean(self, of_positive: Floats, of_negative: Floats, *, upper: float) -> Estimate:
        """Mean over predictions of what a positive and a negative of each bin count."""
        slope = of_positive - of_negative
        with np.errstate(divide="ignore", invalid="ignore"):
            value, middle = (
                (self._predictions * (of_negative + share * slope) / self._total).sum(axis=-1)
                for share in (self._probability, self._centre)
            )
            error = self._standard_error(slope / self._total)
        width = special.ndtri((1 + CONFIDENCE) / 2) * error
        return _around(value, error, np.maximum(middle - width, 0), np.minimum(middle + width, upper))

    def _standard_error(self, slope: Floats) -> Floats:
        """`slope` is the derivative by the share of positives of one prediction, shape (windows, bins)."""
        steepness = self._centre * (1 - self._centre)
        chance = (self._predictions * slope**2 * steepness).sum(axis=-1)
        window = np.arange(len(slope))[:, np.newaxis] * slope.shape[1]
        moved = np.bincount(
            (window + self._block).ravel(), weights=(self._predictions * slope).ravel(), minlength=slope.size
        )
        learned = (moved.reshape(slope.shape) ** 2 * self._block_variance).sum(axis=-1)
        drift, added, weights = self._periods(slope, steepness)
        return _error_of_mixture(chance + learned + self._common(slope) + drift, added, weights)

    def _common(self, slope: Floats) -> Floats:
        """Variance from errors that move all shares together, shape (windows,)."""
        moved = self._predictions * slope
        pairs = zip(self._calibrations, moved, strict=True)
        return np.array([(((learned.common_errors * row).sum(axis=-1)) ** 2).sum() for learned, row in pairs])

    def _periods(self, slope: Floats, steepness: Floats) -> tuple[Floats, Floats, Floats]:
        """The variance of a drift, and those that the periods of window and calibration may add, with how likely each is."""
        of_one = np.nan_to_num(slope * self._total)
        moved = self._predictions * steepness
        with np.errstate(divide="ignore", invalid="ignore"):
            scales = np.nan_to_num((moved * steepness * of_one**2 / self._total).sum(axis=-1))
            by_level = np.nan_to_num((moved * of_one / self._total).sum(axis=-1))
        added, weights = np.zeros((2, len(slope), len(SPREADS)))
        drift = np.zeros(len(slope))
        windows: dict[int, list[int]] = {}
        for window, calibration in enumerate(self._calibrations):
            windows.setdefault(id(calibration), []).append(window)
        for places in windows.values():
            calibration, lengths = self._calibrations[places[0]], self._period_counts[places]
            labels = calibration.period_labels
            means, chance = _period_means(calibration, of_one[places], by_level[places])
            slopes, drifted = steady_drift(means, labels, calibration.period_ages)
            variances, weights[places] = spread_effects(means - drifted, chance, scales[places])
            learned_from = labels / max(labels.sum(), 1)
            ahead = learned_from @ calibration.period_ages - (lengths - 1) / 2
            drift[places] = (slopes * ahead) ** 2 / 3
            # days of the window from which the calibration has learned share its error
            shared = self._known_shares[places]
            times = np.maximum(1 / lengths + (1 - 2 * shared) * (learned_from**2).sum(), (1 - shared) / lengths)
            times *= persistence(means - drifted, chance, labels, lengths)
            added[places] = variances * times[:, np.newaxis]
        return drift, added, weights


def _period_means(calibration: Calibration, slopes: Floats, by_level: Floats) -> tuple[Floats, Floats]:
    """How far each period moves each mean, and the variance of it by chance, shape (windows, periods).

    `by_level` is how far a step of the log-odds of all scores moves each mean, shape (windows,). It is different for
    the scores of a period, so the effect of the period's level is scaled to the window.
    """
    labels, chance = calibration.period_labels, calibration.chance_variance
    information = np.maximum(chance.sum(axis=1), _LEAST_INFORMATION)
    level = calibration.surplus.sum(axis=1) / information
    means, variances = np.zeros((2, len(slopes), len(labels)))
    # slope by slope: the last digits of a product of matrices depend on how many windows there are
    for place, slope in enumerate(slopes):
        of_level = chance @ slope
        step = (by_level[place] * labels - of_level) / information
        means[place] = (calibration.surplus @ slope + step * information * level) / labels
        variances[place] = (chance @ slope**2 + 2 * step * of_level + step**2 * information) / labels**2
    return means, variances


def _around(value: Floats, error: Floats, low: Floats, high: Floats) -> Estimate:
    return Estimate(value, error, np.fmin(low, value), np.fmax(high, value))


def _error_of_mixture(variance: Floats, added: Floats, weights: Floats) -> Floats:
    """Standard error whose normal interval is as wide as the interval of the mixture of normal distributions."""
    errors = np.sqrt(variance[:, np.newaxis] + added)
    low, high = errors.min(axis=1), errors.max(axis=1)
    wanted = special.ndtri((1 + CONFIDENCE) / 2)
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        with np.errstate(divide="ignore", invalid="ignore"):
            beyond = (weights * special.ndtr(-wanted * middle[:, np.newaxis] / errors)).sum(axis=1)
        is_wider = beyond > (1 - CONFIDENCE) / 2
        low, high = np.where(is_wider, middle, low), np.where(is_wider, high, middle)
    return np.asarray(high)


def _stacked(rows: Sequence[Any], predictions: Counts) -> NDArray[Any]:
    """One row per window, also of no windows."""
    return np.array(rows).reshape(predictions.shape)
