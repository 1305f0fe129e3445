"""What scores mean now, from what they meant in the training data and from recent labels: pure functions over arrays.

The training data are many labels of long ago, recent labels are few. How much the old ones still say is learned from how
well they predict the recent ones (empirical Bayes; Efron and Morris 1973): first whether the level and the slope of the
log-odds have moved (Cox 1958), then whether what is left differs from score to score. Not here: isotonic regression and
the estimates (`driftlake.maths.estimation`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from driftlake.maths.arrays import Counts, Floats
from driftlake.maths.estimation import Calibration, isotonic, mean_period_size, overdispersion

# How far calibrations move, as a standard deviation of log-odds: each order of magnitude from 1 % to a factor of e.
_SHIFTS = np.geomspace(0.01, 1, 25)
# Parts of the scores in which what level and slope leave is compared, each with as much evidence.
_PARTS = 20
# Where all scores are alike, nothing tells of a slope.
_LEAST_INFORMATION = 1e-12
_NEWTON_STEPS = 25


def recalibrate(trained: Calibration, trained_counts: Counts, positives: Counts, negatives: Counts) -> Calibration:
    """A calibration on training labels brought up to date by recent ones, of shape (periods, bins).

    `trained_counts` are the labels of each bin that `trained` was learned from, shape (bins,).
    """
    counts = positives + negatives
    total = counts.sum(axis=0)
    least = 1 / (trained_counts.sum() + 2)
    trained_probability = np.clip(trained.probability, least, 1 - least)
    before = special.logit(trained_probability)
    fit = _fit(before, positives.sum(axis=0), total)
    recent = _with_surplus(trained, fit.probability, positives, counts)
    spread = overdispersion(recent, fit.directions)
    information = (fit.directions**2 * trained_counts * trained_probability * (1 - trained_probability)).sum(axis=-1)
    trained_variances = 1 / np.maximum(information, _LEAST_INFORMATION)
    evidence = zip(fit.coefficients, spread * fit.variances, trained_variances, strict=True)
    means, errors = np.array([_shrunk(*each) for each in evidence]).T
    expected = special.expit(before + means @ fit.directions)
    worth = _worth(expected, trained_counts, positives.sum(axis=0), total, recent)
    pooled = isotonic(worth * expected + positives.sum(axis=0), worth + total)
    with np.errstate(invalid="ignore"):
        old_share = np.where(worth + total > 0, worth / (worth + total), 1)
    steepness = pooled.probability * (1 - pooled.probability) * old_share
    common = errors[:, np.newaxis] * fit.directions * steepness
    return replace(
        recent,
        probability=pooled.probability,
        block=pooled.block,
        block_variance=pooled.block_variance,
        common_errors=common,
    )


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


def _shrunk(estimate: float, variance: float, trained_variance: float) -> tuple[float, float]:
    """Mean and standard error of a shift given its estimate, whatever the size that such shifts have.

    Small shifts are taken for chance, so that the mean may miss them: the error is never below that of the estimate, and
    grows with how far the mean is from it.
    """
    weights = _shift_weights(np.array([estimate]), np.array([variance + trained_variance]))
    expected_variance = _SHIFTS**2 + trained_variance
    kept = expected_variance / (expected_variance + variance)
    mean = float(weights @ kept) * estimate
    posterior_variance = weights @ (kept * variance + (kept * estimate - mean) ** 2)
    return mean, float(np.sqrt(max(float(posterior_variance), variance) + (estimate - mean) ** 2))


def _shift_weights(estimates: Floats, variances: Floats) -> Floats:
    """How likely each of _SHIFTS is to have given the estimates, adding up to 1."""
    total = variances + _SHIFTS[:, np.newaxis] ** 2
    return np.asarray(special.softmax(-0.5 * (estimates**2 / total + np.log(total)).sum(axis=1)))


def _worth(expected: Floats, trained_counts: Counts, positives: Counts, counts: Counts, recent: Calibration) -> Floats:
    """How many recent labels the training labels of each bin are worth, shape (bins,)."""
    chance = expected * (1 - expected)
    seen = np.cumsum(counts * chance) - counts * chance / 2
    part = np.minimum((seen / (counts * chance).sum() * _PARTS).astype(np.int64), _PARTS - 1)

    def by_part(values: NDArray[Any]) -> Floats:
        return np.bincount(part, weights=values, minlength=_PARTS).astype(float)

    spread = overdispersion(recent, (part == np.arange(_PARTS)[:, np.newaxis]).astype(float))
    new, old = by_part(counts * chance), by_part(trained_counts * chance)
    is_known = (new > 0) & (old > 0)
    if not is_known.any():
        return np.zeros(len(expected))
    surplus = by_part(positives - counts * expected)[is_known] / new[is_known]
    # in parts, the shift of each is as uncertain as the evidence on both sides
    new_variance, old_variance = spread[is_known] / new[is_known], 1 / old[is_known]
    weights = _shift_weights(surplus, new_variance + old_variance)
    moved = _SHIFTS[:, np.newaxis] ** 2 + old_variance
    old_share = weights @ (new_variance / (new_variance + moved))
    factor = np.zeros(_PARTS)
    factor[is_known] = old_share / (1 - old_share) * new[is_known] / old[is_known]
    return np.asarray(factor[part] * trained_counts)


def _with_surplus(trained: Calibration, probability: Floats, positives: Counts, counts: Counts) -> Calibration:
    chance_variance = counts * probability * (1 - probability)
    return replace(
        trained,
        surplus=positives - counts * probability,
        chance_variance=chance_variance,
        period_size=mean_period_size(counts),
    )
