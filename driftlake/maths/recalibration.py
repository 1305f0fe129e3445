"""Calibrates scores from the labels of the training data and from recent labels: pure functions over arrays.

The training data has many old labels; recent labels are few. The weight of the old labels depends on how well they predict
the recent ones (empirical Bayes; Efron and Morris 1973). The first step tests whether the level and the slope of the log-odds
have moved (Cox 1958), the second whether the remaining differences vary between scores. Not here: isotonic regression and
the estimates (`driftlake.maths.estimation`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from driftlake.maths.arrays import Counts, Floats
from driftlake.maths.estimation import Calibration, isotonic, with_periods
from driftlake.maths.periods import spread_effects

# Parts of the scores in which the differences beyond level and slope are compared, each with the same amount of
# evidence.
_PARTS = 20
# If all scores are alike, there is no evidence of a slope.
_LEAST_INFORMATION = 1e-12
_NEWTON_STEPS = 25


def recalibrate(
    trained: Calibration,
    trained_counts: Counts,
    positives: Counts,
    negatives: Counts,
    ages: Floats | None = None,
) -> Calibration:
    """A calibration on training labels brought up to date by recent ones, of shape (periods, bins).

    `ages` is how many days ago each period was; without it they are the days up to now. `trained_counts` are the labels
    of each bin that `trained` was learned from, shape (bins,). Shrinking a shift towards the training labels makes its
    error smaller on average, but not its interval. An interval that is valid for every shift is as wide as that of the
    recent labels alone (Low 1997), and is centred on their estimate.
    """
    counts = positives + negatives
    total = counts.sum(axis=0)
    least = 1 / (trained_counts.sum() + 2)
    trained_probability = np.clip(trained.probability, least, 1 - least)
    before = special.logit(trained_probability)
    fit = _fit(before, positives.sum(axis=0), total)
    recent = with_periods(trained, fit.probability, positives, counts, ages)
    information = (fit.directions**2 * trained_counts * trained_probability * (1 - trained_probability)).sum(axis=-1)
    variances = fit.variances + _period_variances(recent, fit, total)
    means = _shrunk(fit.coefficients, variances, 1 / np.maximum(information, _LEAST_INFORMATION))
    expected = special.expit(before + means @ fit.directions)
    worth = _worth(fit.probability, trained_counts, positives.sum(axis=0), total)
    pooled, centre = (
        isotonic(worth * shares + positives.sum(axis=0), worth + total) for shares in (expected, fit.probability)
    )
    with np.errstate(invalid="ignore"):
        old_share = np.where(worth + total > 0, worth / (worth + total), 1)
    # the error of a bin's recent labels is correlated with that of the level, which they contribute to
    steepness = centre.probability * (1 - centre.probability) * np.sqrt(1 - (1 - old_share) ** 2)
    return replace(
        recent,
        probability=pooled.probability,
        centre=centre.probability,
        block=centre.block,
        block_variance=centre.block_variance * _of_blocks(1 - old_share, centre.block, worth + total),
        common_errors=np.sqrt(fit.variances)[:, np.newaxis] * fit.directions * steepness,
    )


def probabilities_of_classes(positives: Counts, negatives: Counts) -> Floats:
    """Probability that the label is the class, for each class and score bin, from labels of the class and of others: shape (classes, bins).

    Each class is recalibrated on its own labels, starting from those of all other classes: a class with few labels is taken
    to be like the others until its labels say otherwise. At least one class must have labels.
    """
    counts = positives + negatives
    found = np.zeros(counts.shape)
    for place, (own_positives, own_counts) in enumerate(zip(positives, counts, strict=True)):
        others = counts.sum(axis=0) - own_counts
        if not others.any():
            found[place] = isotonic(own_positives, own_counts).probability
            continue
        like_others = isotonic(positives.sum(axis=0) - own_positives, others)
        own = positives[[place]], negatives[[place]]
        learned = recalibrate(like_others, others, *own) if own_counts.any() else like_others
        found[place] = learned.probability
    return found


@dataclass(frozen=True, slots=True)
class _Fit:
    """A logistic regression on the level and the slope: `directions` of shape (2, bins), the rest of shape (2,)."""

    directions: Floats
    coefficients: Floats
    variances: Floats
    probability: Floats


def _fit(before: Floats, positives: Counts, counts: Counts) -> _Fit:
    chance = special.expit(before) * special.expit(-before)
    middle = float(np.average(before, weights=counts * chance))
    directions = np.stack([np.ones_like(before), before - middle])
    # a weak normal prior: where every recent label is alike, the regression alone would have no solution
    penalty = np.eye(2) * 1e-2
    coefficients = np.zeros(2)
    for _ in range(_NEWTON_STEPS):
        probability = special.expit(before + coefficients @ directions)
        gradient = directions @ (positives - counts * probability) - penalty @ coefficients
        hessian = (directions * (counts * probability * (1 - probability))) @ directions.T + penalty
        step = np.clip(np.linalg.solve(hessian, gradient), -1, 1)
        coefficients = coefficients + step
        if np.abs(step).max() < 1e-10:
            break
    variances = np.diag(np.linalg.inv(hessian))
    return _Fit(directions, coefficients, variances, special.expit(before + coefficients @ directions))


def _period_variances(recent: Calibration, fit: _Fit, counts: Counts) -> Floats:
    """What differences between the periods add to the variances of the coefficients, shape (2,)."""
    slopes = fit.directions * fit.variances[:, np.newaxis] * counts.sum()
    chance = fit.probability * (1 - fit.probability)
    scales = (counts * (slopes * chance) ** 2).sum(axis=-1) / counts.sum()
    labels = recent.period_labels
    means, chance = slopes @ recent.surplus.T / labels, slopes**2 @ recent.chance_variance.T / labels**2
    added, weights = spread_effects(means, chance, scales)
    learned_from = labels / labels.sum()
    return np.asarray((added * weights).sum(axis=-1) * (learned_from**2).sum())


def _shrunk(estimates: Floats, variances: Floats, trained_variances: Floats) -> Floats:
    """Means of shifts given their estimates, the size of each shift being the likeliest (Efron and Morris 1973)."""
    expected = np.maximum(estimates**2 - variances, trained_variances)
    return expected / (expected + variances) * estimates


def _worth(expected: Floats, trained_counts: Counts, positives: Counts, counts: Counts) -> Floats:
    """How many recent labels the training labels of each bin are worth, shape (bins,)."""
    chance = expected * (1 - expected)
    seen = np.cumsum(counts * chance) - counts * chance / 2
    part = np.minimum((seen / (counts * chance).sum() * _PARTS).astype(np.int64), _PARTS - 1)

    def by_part(values: NDArray[Any]) -> Floats:
        return np.bincount(part, weights=values, minlength=_PARTS).astype(float)

    new, old = by_part(counts * chance), by_part(trained_counts * chance)
    is_known = (new > 0) & (old > 0)
    if not is_known.any():
        return np.zeros(len(expected))
    surplus = by_part(positives - counts * expected)[is_known] / new[is_known]
    new_variance, old_variance = 1 / new[is_known], 1 / old[is_known]
    moved = max(float(np.mean(surplus**2 - new_variance - old_variance)), 0) + old_variance
    factor = np.zeros(_PARTS)
    factor[is_known] = new_variance / moved * new[is_known] / old[is_known]
    return np.asarray(factor[part] * trained_counts)


def _of_blocks(shares: Floats, block: NDArray[np.int64], weights: Floats) -> Floats:
    """Weighted means of the shares of each block, shape (bins,), zero beyond the last block."""
    size = len(shares)
    sums = np.bincount(block, weights=weights, minlength=size)
    weighted = np.bincount(block, weights=weights * shares, minlength=size)
    return np.asarray(np.divide(weighted, sums, out=np.zeros(size), where=sums > 0))
