"""Divergences between two vectors of counts over the same bins: pure functions that take arrays.

Every function takes `current` (production) and `reference` (training) counts of shape (..., bins) that broadcast, and
works along the last axis. Bins that are empty on both sides are left out; on the others `smoothing` rows are added to
both sides, so an empty bin never gives infinity. A new statistic is a function and a line in STATISTICS.
Not here: which counts are compared (drift.py), thresholds, files.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from driftlake.arrays import Counts, Floats
from driftlake.binning import MISSING

NOISE_QUANTILE = 0.99


@dataclass(frozen=True, slots=True)
class Comparison:
    """Value of a statistic with its noise, each of shape (...); nan where there is nothing to compare."""

    value: Floats
    noise_floor: Floats
    p_value: Floats


@dataclass(frozen=True, slots=True)
class Statistic:
    """A registered statistic."""

    name: str
    compare: Callable[[Counts, Counts, float], Comparison]
    formula: str
    value_range: str
    misses: str
    source: str


def shares(counts: Counts, occupied: NDArray[np.bool_], smoothing: float) -> Floats:
    """Smoothed shares that sum to one over the occupied bins; zero elsewhere."""
    smoothed = np.where(occupied, counts + smoothing, 0.0)
    total = smoothed.sum(axis=-1, keepdims=True)
    result: Floats = np.divide(smoothed, total, out=np.zeros_like(smoothed), where=total > 0)
    return result


def psi(current: Counts, reference: Counts, smoothing: float = 0.5) -> Comparison:
    """Population stability index: sum (q - p) ln(q / p), from 0, symmetric, in nats.

    Without drift PSI / (1/N + 1/M) is about chi-square with bins - 1 degrees of freedom (Yurdakul 2018).
    """
    p, q, ratio = _shares_and_log_ratio(current, reference, smoothing)
    return _with_noise(((q - p) * ratio).sum(axis=-1), current, reference, scale=1.0)


def kl_divergence(current: Counts, reference: Counts, smoothing: float = 0.5) -> Comparison:
    """Kullback-Leibler divergence of current from reference: sum q ln(q / p), from 0, in nats.

    Without drift twice the divergence over (1/N + 1/M) is about chi-square (Kullback 1959).
    """
    _, q, ratio = _shares_and_log_ratio(current, reference, smoothing)
    return _with_noise((q * ratio).sum(axis=-1), current, reference, scale=1 / 2)


def js_distance(current: Counts, reference: Counts, smoothing: float = 0.5) -> Comparison:
    """Jensen-Shannon distance: square root of the base-2 Jensen-Shannon divergence, 0 to 1, symmetric (Lin 1991).

    Without drift eight times the divergence in nats over (1/N + 1/M) is about chi-square.
    """
    occupied = (current > 0) | (reference > 0)
    p, q = shares(reference, occupied, smoothing), shares(current, occupied, smoothing)
    mixture = (p + q) / 2
    nats = (special.rel_entr(p, mixture) + special.rel_entr(q, mixture)).sum(axis=-1) / 2
    divergence = _with_noise(np.maximum(nats, 0.0), current, reference, scale=1 / 8)
    return Comparison(
        np.sqrt(divergence.value / np.log(2)), np.sqrt(divergence.noise_floor / np.log(2)), divergence.p_value
    )


def missing_rate_change(current: Counts, reference: Counts, _smoothing: float = 0.5) -> Comparison:
    """Share missing now minus share missing in the reference, -1 to 1; two-sided two-proportion z test.

    The noise floor is the 99th percentile of the absolute change without drift.
    """
    size, reference_size = current.sum(axis=-1), reference.sum(axis=-1)
    missing, reference_missing = current[..., MISSING], reference[..., MISSING]
    with np.errstate(divide="ignore", invalid="ignore"):
        change = missing / size - reference_missing / reference_size
        pooled = (missing + reference_missing) / (size + reference_size)
        deviation = np.sqrt(pooled * (1 - pooled) * (1 / size + 1 / reference_size))
        z = np.where(deviation > 0, np.abs(change) / deviation, 0.0)
    is_comparable = (size > 0) & (reference_size > 0)
    return Comparison(
        np.where(is_comparable, change, np.nan),
        np.where(is_comparable, special.ndtri((1 + NOISE_QUANTILE) / 2) * deviation, np.nan),
        np.where(is_comparable, 2 * special.ndtr(-z), np.nan),
    )


STATISTICS = {
    statistic.name: statistic
    for statistic in (
        Statistic(
            "psi",
            psi,
            "sum (q - p) ln(q / p)",
            "0 to infinity",
            "shifts inside a bin; grows with the number of bins",
            "Siddiqi 2006; noise: Yurdakul 2018",
        ),
        Statistic(
            "kl_divergence",
            kl_divergence,
            "sum q ln(q / p)",
            "0 to infinity, in nats",
            "what vanished from production weighs little: q is small there",
            "Kullback and Leibler 1951",
        ),
        Statistic(
            "js_distance",
            js_distance,
            "sqrt(JS divergence in base 2)",
            "0 to 1",
            "shifts inside a bin; a square root, so small shifts look large",
            "Lin 1991; Endres and Schindelin 2003",
        ),
        Statistic(
            "missing_rate_change",
            missing_rate_change,
            "q_missing - p_missing",
            "-1 to 1",
            "everything but missing values",
            "two-proportion z test",
        ),
    )
}


def benjamini_hochberg(p_values: Floats) -> Floats:
    """q-values along the last axis (Benjamini and Hochberg 1995); nan is no test and stays nan."""
    tests = np.sum(~np.isnan(p_values), axis=-1, keepdims=True)
    order = np.argsort(p_values, axis=-1)  # nan goes last
    ranks = np.arange(1, p_values.shape[-1] + 1)
    ranked = np.take_along_axis(p_values, order, axis=-1) * tests / ranks
    # the smallest from the right: a q-value never exceeds that of a larger p-value
    q_values = np.fmin.accumulate(ranked[..., ::-1], axis=-1)[..., ::-1]
    result = np.empty_like(p_values)
    np.put_along_axis(result, order, np.minimum(q_values, 1.0), axis=-1)
    return np.where(np.isnan(p_values), np.nan, result)


def _shares_and_log_ratio(current: Counts, reference: Counts, smoothing: float) -> tuple[Floats, Floats, Floats]:
    occupied = (current > 0) | (reference > 0)
    p, q = shares(reference, occupied, smoothing), shares(current, occupied, smoothing)
    ratio = np.log(np.divide(q, p, out=np.ones(np.broadcast_shapes(p.shape, q.shape)), where=p > 0))
    return p, q, ratio


def _with_noise(value: Floats, current: Counts, reference: Counts, *, scale: float) -> Comparison:
    """Noise of a statistic that is `scale` * (1/N + 1/M) * chi-square when nothing drifted."""
    size, reference_size = current.sum(axis=-1), reference.sum(axis=-1)
    freedom = ((current > 0) | (reference > 0)).sum(axis=-1) - 1
    is_comparable = (size > 0) & (reference_size > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        unit = scale * (1 / size + 1 / reference_size)
        # with a single occupied bin there is nothing that could differ
        p_value = np.where(freedom > 0, special.chdtrc(np.maximum(freedom, 1), value / unit), 1.0)
        floor = np.where(freedom > 0, unit * special.chdtri(np.maximum(freedom, 1), 1 - NOISE_QUANTILE), 0.0)
    return Comparison(
        np.where(is_comparable, value, np.nan),
        np.where(is_comparable, floor, np.nan),
        np.where(is_comparable, p_value, np.nan),
    )
