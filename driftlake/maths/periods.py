"""How much the labels of days differ beyond chance, and for how long: pure functions that take arrays.

Labels of one day are correlated beyond their scores (a storm delays all flights), and so are labels of neighbouring days (a
season). Labelled days show how strongly and for how long. While there are few of them, values that are usual for models are
used. For each mean over labels there is one value per day, shape (means, periods). Not here: what is estimated
(`driftlake.maths.estimation`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import special

from driftlake.maths.arrays import Floats
from driftlake.maths.ranking import CONFIDENCE

# Possible differences of periods beyond chance, as standard deviations of log-odds, and their prior probabilities.
SPREADS = np.array([0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.75, 1])
_SPREAD_PRIOR = np.array([0.2, 0.1, 0.1, 0.1, 0.15, 0.14, 0.07, 0.05, 0.04, 0.03, 0.02])
# Periods whose labels are all certain have no variance by chance.
_LEAST_VARIANCE = 1e-30
# Usual correlation of a day with the next, and its weight in stretches of days as long as the window.
_USUAL_CORRELATION = 0.5
_PRIOR_STRETCHES = 5
_FEWEST_OF_A_DRIFT = 8


def spread_effects(means: Floats, chance_variances: Floats, scales: Floats) -> tuple[Floats, Floats]:
    """Variances that a period may add to each mean beyond chance, and how likely each is: shape (means, spreads).

    `scales` are the variances that a spread of 1 adds, shape (means,). The likelihood is the restricted one of random
    effects (Patterson and Thompson 1971). Without periods the prior probabilities remain.
    """
    added = scales[:, np.newaxis] * SPREADS**2
    if not means.shape[1]:
        return added, np.broadcast_to(_SPREAD_PRIOR, added.shape)
    variance = np.maximum(chance_variances, _LEAST_VARIANCE)[:, :, np.newaxis] + added[:, np.newaxis, :]
    precision = 1 / variance
    middle = (precision * means[..., np.newaxis]).sum(axis=1, keepdims=True) / precision.sum(axis=1, keepdims=True)
    misfit = (np.log(variance) + (means[..., np.newaxis] - middle) ** 2 * precision).sum(axis=1)
    log_likelihood = -0.5 * (misfit + np.log(precision.sum(axis=1)))
    return added, np.asarray(special.softmax(log_likelihood + np.log(_SPREAD_PRIOR), axis=1))


def persistence(means: Floats, chance_variances: Floats, labels: Floats, lengths: NDArray[np.int64]) -> Floats:
    """Variance of the mean of `lengths` days, as a multiple of the variance for independent days, shape (means,), at least 1.

    Periods are in order of days; `labels` are the labels of each, shape (periods,). The variance of stretches of that many
    days is compared with the variance of days (batch means). The result is weighted by the number of stretches and combined
    with a usual correlation. It includes the square of the wider quantile of the t distribution, because a few stretches
    determine it poorly.
    """
    count = len(labels)
    stretches = np.maximum(count / lengths - 1, 0)
    seen = _stretch_variance(means, chance_variances, labels, lengths) if count > 1 else np.zeros(len(lengths))
    factor = (stretches * seen + _PRIOR_STRETCHES * _usual_persistence(lengths)) / (stretches + _PRIOR_STRETCHES)
    share = (1 + CONFIDENCE) / 2
    wider = special.stdtrit(stretches + _PRIOR_STRETCHES, share) / special.ndtri(share)
    return np.asarray(np.maximum(factor, 1) * wider**2)


def steady_drift(means: Floats, labels: Floats, ages: Floats) -> tuple[Floats, Floats]:
    """The steady drift of each mean per day, as far as it exceeds its own error, and the part of each period that it explains.

    `ages` are how many days ago the periods were, shape (periods,). The first has shape (means,), the second that of `means`.
    """
    if len(labels) < _FEWEST_OF_A_DRIFT:
        return np.zeros(len(means)), np.zeros_like(means)
    weights = labels / labels.sum()
    distances = weights @ ages - ages
    square = weights @ distances**2
    deviations = means - (means @ weights)[:, np.newaxis]
    slopes = deviations @ (weights * distances) / square
    left = deviations - slopes[:, np.newaxis] * distances
    variances = left**2 @ (weights * distances) ** 2 / square**2 * (1 + _USUAL_CORRELATION) / (1 - _USUAL_CORRELATION)
    drift = np.sign(slopes) * np.sqrt(np.maximum(slopes**2 - variances, 0))
    return drift, drift[:, np.newaxis] * distances


def _usual_persistence(lengths: NDArray[np.int64]) -> Floats:
    """The persistence of an autoregression of order one."""
    correlation = _USUAL_CORRELATION
    return np.asarray(
        (1 + correlation) / (1 - correlation)
        - 2 * correlation * (1 - correlation**lengths) / (lengths * (1 - correlation) ** 2)
    )


def _stretch_variance(means: Floats, chance_variances: Floats, labels: Floats, lengths: NDArray[np.int64]) -> Floats:
    """Variance of the means of stretches as a multiple of that of independent days, all days being equally precise."""
    count = len(labels)
    weights = labels / labels.sum()
    deviations = means - (means @ weights)[:, np.newaxis]
    beyond = np.maximum((deviations**2 - chance_variances) @ weights, _LEAST_VARIANCE)
    standardised = deviations / np.sqrt(chance_variances + beyond[:, np.newaxis])
    standardised -= standardised.mean(axis=1, keepdims=True)
    of_days = np.maximum((standardised**2).sum(axis=1) / (count - 1), _LEAST_VARIANCE)
    sums = np.concatenate([np.zeros((len(means), 1)), np.cumsum(standardised, axis=1)], axis=1)
    found = np.empty(len(lengths))
    for length in np.unique(lengths):
        of_length = lengths == length
        size = int(min(length, count // 2))
        stretch = sums[of_length, size:] - sums[of_length, :-size]
        found[of_length] = (stretch**2).mean(axis=1) / size / (1 - size / count)
    return np.asarray(found / of_days)
