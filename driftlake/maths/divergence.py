"""Divergences between two vectors of counts over the same bins: pure functions that take arrays.

Every function takes `current` (production) and `reference` counts of shape (..., bins) that broadcast, and works along
the last axis. Bins that are empty on both sides are left out. Functions that take logarithms add `smoothing` rows to
every other bin on both sides, or `smoothing` rows per thousand in larger samples, so an empty bin never gives infinity.
Not here: names and thresholds (`driftlake.maths.drift_statistics`), and which counts are compared
(`driftlake.drift.comparison`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from driftlake.maths.arrays import Counts, Floats
from driftlake.maths.binning import ABOVE, BELOW, FIRST_RANGE

NOISE_QUANTILE = 0.99

# In samples larger than this, `smoothing` is in rows per this many rows; half a row is then a share of 0.05 %.
_SMOOTHED_ROWS = 1000
# Below this many expected rows an exact tail probability replaces the normal approximation of a share.
_FEW_EXPECTED = 10
# The variance of an integral over borders is a sum over pairs of borders. This many borders are precise enough.
_NOISE_BORDERS = 32
_LOWER, _UPPER = np.triu_indices(_NOISE_BORDERS, 1)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Value of a statistic with its noise, each of shape (...); nan where there is nothing to compare.

    `error_bound` is the most by which the statistic of the unbinned values can be larger; None if binning loses
    nothing.
    """

    value: Floats
    noise_floor: Floats
    p_value: Floats
    error_bound: Floats | None = None


def shares(counts: Counts, occupied: NDArray[np.bool_], smoothing: float) -> Floats:
    """Smoothed shares that sum to one over the occupied bins; zero elsewhere.

    Large samples get proportionally more smoothing rows. An empty bin then has the same share in large samples of any
    size, and a category that vanished has the same divergence over a day and over a week.
    """
    added = smoothing * np.maximum(counts.sum(axis=-1, keepdims=True) / _SMOOTHED_ROWS, 1.0)
    smoothed = np.where(occupied, counts + added, 0.0)
    total = smoothed.sum(axis=-1, keepdims=True)
    result: Floats = np.divide(smoothed, total, out=np.zeros_like(smoothed), where=total > 0)
    return result


def psi(current: Counts, reference: Counts, smoothing: float = 0.5) -> Comparison:
    """Population stability index: sum (q - p) ln(q / p), 0 and up, in nats, symmetric, larger is worse (Siddiqi 2006).

    Without drift PSI / (1/N + 1/M) is about chi-square with bins - 1 degrees of freedom (Yurdakul 2018). Misses shifts
    inside a bin. A bin that is nearly empty on one side can dominate the sum.
    """
    p, q, ratio = _shares_and_log_ratio(current, reference, smoothing)
    return _with_noise(((q - p) * ratio).sum(axis=-1), current, reference, scale=1.0)


def kl_divergence(current: Counts, reference: Counts, smoothing: float = 0.5) -> Comparison:
    """Kullback-Leibler divergence of current from reference: sum q ln(q / p), 0 and up, in nats, larger is worse.

    Kullback and Leibler (1951); not symmetric. Without drift twice the divergence over (1/N + 1/M) is about chi-square
    (Kullback 1959). Misses shifts inside a bin, and gives little weight to bins that became rare, because q is small
    there.
    """
    _, q, ratio = _shares_and_log_ratio(current, reference, smoothing)
    return _with_noise((q * ratio).sum(axis=-1), current, reference, scale=1 / 2)


def js_distance(current: Counts, reference: Counts, smoothing: float = 0.5) -> Comparison:
    """Jensen-Shannon distance: sqrt(sum (p log2(p / m) + q log2(q / m)) / 2) with m = (p + q) / 2, without unit.

    The square root of the base-2 divergence of Lin (1991), a metric (Endres and Schindelin 2003): 0 to 1, symmetric, larger
    is worse. Without drift eight times the divergence in nats over (1/N + 1/M) is about chi-square. Misses shifts inside
    a bin, and as a square root makes small shifts look large.
    """
    occupied = (current > 0) | (reference > 0)
    p, q = shares(reference, occupied, smoothing), shares(current, occupied, smoothing)
    mixture = (p + q) / 2
    nats = (special.rel_entr(p, mixture) + special.rel_entr(q, mixture)).sum(axis=-1) / 2
    return _root(_with_noise(np.maximum(nats, 0.0), current, reference, scale=1 / 8), unit=np.log(2))


def hellinger_distance(current: Counts, reference: Counts, smoothing: float = 0.5) -> Comparison:
    """Hellinger distance: sqrt(1 - sum sqrt(p q)), 0 to 1, without unit, symmetric, larger is worse (Hellinger 1909).

    Without drift eight times its square over (1/N + 1/M) is about chi-square. Misses shifts inside a bin, and as a square
    root makes small shifts look large.
    """
    occupied = (current > 0) | (reference > 0)
    p, q = shares(reference, occupied, smoothing), shares(current, occupied, smoothing)
    squared = np.square(np.sqrt(p) - np.sqrt(q)).sum(axis=-1) / 2
    return _root(_with_noise(squared, current, reference, scale=1 / 8))


def total_variation_distance(current: Counts, reference: Counts) -> Comparison:
    """Total variation distance: sum |q - p| / 2, 0 to 1, symmetric, larger is worse (Levin, Peres and Wilmer 2009).

    Its unit is the share of rows that would have to move. Without drift the differences of the shares are about normal,
    so their absolute sum has a known mean and variance (Nabeya 1951). The noise is that of a gamma distribution with
    both. Misses shifts inside a bin, and large relative changes of rare bins.
    """
    p, q, pooled, unit = _plain_shares(current, reference)
    with np.errstate(invalid="ignore"):
        deviations = np.sqrt(pooled * (1 - pooled) * unit)
    # a bin that holds every row cannot vary
    odds = np.sqrt(np.divide(pooled, 1 - pooled, out=np.zeros_like(pooled), where=pooled < 1))
    correlations = -odds[..., :, np.newaxis] * odds[..., np.newaxis, :]
    mean, variance = _noise_of_absolute_sum(deviations / 2, correlations)
    return _with_gamma_noise(np.abs(q - p).sum(axis=-1) / 2, mean, variance)


def ks_distance(current: Counts, reference: Counts) -> Comparison:
    """Kolmogorov-Smirnov distance: max |F(x) - G(x)| at the borders of the bins, 0 to 1, symmetric, larger is worse.

    F and G are cumulative shares of rows. Misses missing values, which have no order and are left out, and shifts in the
    tails, where F and G are both near 0 or 1. The unbinned statistic is larger by `error_bound` at most: between two
    borders F - G exceeds its larger value at them by no more than the smaller of the bin's two shares. The p-value is
    the asymptotic one (Kolmogorov 1933, Smirnov 1948), which is conservative for binned values.
    """
    q, p, size = _cumulative(current, reference)
    value = np.abs(q - p).max(axis=-1)
    steps = np.minimum(np.diff(q, axis=-1, prepend=0), np.diff(p, axis=-1, prepend=0))
    with np.errstate(divide="ignore", invalid="ignore"):
        floor = special.kolmogi(1 - NOISE_QUANTILE) / np.sqrt(size)
        p_value = special.kolmogorov(value * np.sqrt(size))
    # if both samples lie in one bin, a difference inside it is invisible here
    bound = np.minimum(steps.max(axis=-1), 1 - value)
    return Comparison(*_where(size > 0, value, np.minimum(floor, 1), p_value), *_where(size > 0, bound))


def wasserstein_distance(current: Counts, reference: Counts, ends: Floats) -> Comparison:
    """Wasserstein-1 distance: integral of |F(x) - G(x)| dx / s, 0 and up, larger is worse (Vallender 1974).

    It says how far the rows moved on average, in units of s, the standard deviation of the reference. Values are
    assumed to lie evenly between the ends of their bins, and values off the grid at its end. So it misses how far
    beyond the training range values lie, and missing values, which are left out. Without drift F - G is a Brownian
    bridge (del Barrio, Gine and Matran 1999), whose area has a known mean and variance. The noise is that of a gamma
    distribution with both.

    `ends` are the lowest and the highest value of each range bin, shape (..., bins - 3, 2).
    """
    q, p, size = _cumulative(current, reference)
    pooled, _, _ = _cumulative(current + reference, reference)
    points = ends.reshape(*ends.shape[:-2], -1)
    q, p, pooled = _at_ends(q), _at_ends(p), _at_ends(pooled)
    widths = np.diff(points, axis=-1)
    deviation = _standard_deviation(p, points)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = _area(q - p, widths) / deviation
        mean, variance = _noise_of_bridge_area(pooled, widths / deviation[..., np.newaxis])
        comparison = _with_gamma_noise(value, mean / np.sqrt(size), variance / size)
    return Comparison(
        *_where((size > 0) & (deviation > 0), comparison.value, comparison.noise_floor, comparison.p_value)
    )


def g_statistic(current: Counts, reference: Counts) -> Comparison:
    """G statistic of homogeneity: 2 sum O ln(O / E) over both sides, 0 and up, larger is worse (Sokal and Rohlf 1981).

    O and E are observed and expected rows; without drift it is about chi-square, without unit. It does not measure the
    size of a shift, because it grows with the number of rows. Bins with fewer than five expected rows on the smaller
    side are pooled, and the noise has the correction of Williams (1976).
    """
    size, reference_size = current.sum(axis=-1, keepdims=True), reference.sum(axis=-1, keepdims=True)
    total = current + reference
    with np.errstate(divide="ignore", invalid="ignore"):
        is_rare = total * (np.minimum(size, reference_size) / (size + reference_size)) < _FEW_EXPECTED / 2
    current, reference = _pooled(current, is_rare), _pooled(reference, is_rare)
    p, q, pooled, unit = _plain_shares(current, reference)
    nats = (special.rel_entr(q, pooled) * size + special.rel_entr(p, pooled) * reference_size).sum(axis=-1)
    # the chi-square itself, where the others are chi-square over (1/N + 1/M)
    scale = _williams_factor(current, reference) / unit[..., 0]
    return _with_noise(2 * np.maximum(nats, 0), current, reference, scale=scale)


def share_change(current: Counts, reference: Counts, bin_id: int) -> Comparison:
    """Share of the rows in a bin now minus its share in the reference, -1 to 1; larger absolute values are worse.

    Tested with the two-sided test of two proportions. Misses changes in all other bins. The test is the z test if
    enough rows are expected on both sides. Otherwise it is the exact conditional binomial test of the bin's rows, given
    their total on both sides (twice the smaller tail, which is conservative). The noise floor is the 99th percentile of
    the absolute change without drift.
    """
    size, reference_size = current.sum(axis=-1), reference.sum(axis=-1)
    hits, reference_hits = current[..., bin_id], reference[..., bin_id]
    total = hits + reference_hits
    with np.errstate(divide="ignore", invalid="ignore"):
        change = hits / size - reference_hits / reference_size
        share_of_current = size / (size + reference_size)
        pooled = total / (size + reference_size)
        deviation = np.sqrt(pooled * (1 - pooled) * (1 / size + 1 / reference_size))
        z = np.where(deviation > 0, np.abs(change) / deviation, 0.0)
        upper = np.where(hits > 0, special.bdtrc(np.maximum(hits - 1, 0), total, share_of_current), 1.0)
        lower = special.bdtr(hits, total, share_of_current)
        exact = np.minimum(2 * np.minimum(lower, upper), 1.0)
        rarer = np.minimum(pooled, 1 - pooled) * np.minimum(size, reference_size)
        p_value = np.where((rarer >= _FEW_EXPECTED) | (deviation == 0), 2 * special.ndtr(-z), exact)
    floor = special.ndtri((1 + NOISE_QUANTILE) / 2) * deviation
    return Comparison(*_where((size > 0) & (reference_size > 0), change, floor, p_value))


def benjamini_hochberg(p_values: Floats) -> Floats:
    """q-values along the last axis (Benjamini and Hochberg 1995); nan means that there was no test, and stays nan."""
    tests = np.sum(~np.isnan(p_values), axis=-1, keepdims=True)
    order = np.argsort(p_values, axis=-1)  # nan sorts last
    ranks = np.arange(1, p_values.shape[-1] + 1)
    ranked = np.take_along_axis(p_values, order, axis=-1) * tests / ranks
    # running minimum from the right: a q-value never exceeds that of a larger p-value
    q_values = np.fmin.accumulate(ranked[..., ::-1], axis=-1)[..., ::-1]
    result = np.empty_like(p_values)
    np.put_along_axis(result, order, np.minimum(q_values, 1.0), axis=-1)
    return np.where(np.isnan(p_values), np.nan, result)


def log_ratio(current: Counts, reference: Counts, smoothing: float = 0.5) -> Floats:
    """ln(q / p) of the smoothed shares per bin, the weight of a difference in PSI; 0 for bins without rows."""
    _, _, ratio = _shares_and_log_ratio(current, reference, smoothing)
    return ratio


def _shares_and_log_ratio(current: Counts, reference: Counts, smoothing: float) -> tuple[Floats, Floats, Floats]:
    occupied = (current > 0) | (reference > 0)
    p, q = shares(reference, occupied, smoothing), shares(current, occupied, smoothing)
    ratio = np.log(np.divide(q, p, out=np.ones(np.broadcast_shapes(p.shape, q.shape)), where=p > 0))
    return p, q, ratio


def _williams_factor(current: Counts, reference: Counts) -> Floats:
    """Factor by which G exceeds its chi-square in small samples (Williams 1976)."""
    total = current + reference
    size = total.sum(axis=-1)
    bins = (total > 0).sum(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        rows = size / current.sum(axis=-1) + size / reference.sum(axis=-1) - 1
        columns = np.where(total > 0, size[..., np.newaxis] / total, 0).sum(axis=-1) - 1
        factor: Floats = 1 + rows * columns / (6 * size * np.maximum(bins - 1, 1))
    return factor


def _pooled(counts: Counts, is_rare: NDArray[np.bool_]) -> Counts:
    """Counts in which the rare bins are added up in a bin of their own."""
    rare = np.where(is_rare, counts, 0).sum(axis=-1, keepdims=True)
    return np.concatenate([np.where(is_rare, 0, counts), rare], axis=-1)


def _plain_shares(current: Counts, reference: Counts) -> tuple[Floats, Floats, Floats, Floats]:
    """Shares of the reference, of current and of both pooled, shape (..., bins), and 1/N + 1/M, shape (..., 1)."""
    size, reference_size = current.sum(axis=-1, keepdims=True), reference.sum(axis=-1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        pooled = (current + reference) / (size + reference_size)
        return reference / reference_size, current / size, pooled, 1 / size + 1 / reference_size


def _cumulative(current: Counts, reference: Counts) -> tuple[Floats, Floats, Floats]:
    """Cumulative shares of current and reference in the order of the values, without missing values; and N M / (N + M)."""

    def in_order(counts: Counts) -> Counts:
        parts = (counts[..., BELOW, np.newaxis], counts[..., FIRST_RANGE:], counts[..., ABOVE, np.newaxis])
        return np.cumsum(np.concatenate(parts, axis=-1), axis=-1)

    q, p = in_order(current), in_order(reference)
    size, reference_size = q[..., -1], p[..., -1]
    with np.errstate(divide="ignore", invalid="ignore"):
        effective = size * reference_size / (size + reference_size)
        return q / size[..., np.newaxis], p / reference_size[..., np.newaxis], np.nan_to_num(effective)


def _at_ends(cumulative: Floats) -> Floats:
    """Cumulative shares, shape (..., bins - 1), at the lower and the upper end of each range bin, shape (..., 2 (bins - 3))."""
    return np.repeat(cumulative[..., :-1], 2, axis=-1)[..., 1:-1]


def _area(difference: Floats, widths: Floats) -> Floats:
    """Integral of the absolute value of a function that is linear between the borders at which it is known."""
    left, right = difference[..., :-1], difference[..., 1:]
    crosses = left * right < 0
    total = np.abs(left) + np.abs(right)
    # two triangles where the sign changes between two borders
    heights = np.where(crosses, np.divide(left**2 + right**2, total, out=np.zeros_like(total), where=total > 0), total)
    area: Floats = (heights * widths).sum(axis=-1) / 2
    return area


def _standard_deviation(cumulative: Floats, borders: Floats) -> Floats:
    """Standard deviation of values spread evenly inside their bins, given their cumulative shares at the borders."""
    weights = np.diff(cumulative, axis=-1, prepend=0)
    outside = 1 - cumulative[..., -1]
    middles = (borders[..., 1:] + borders[..., :-1]) / 2
    points = np.concatenate([borders[..., :1], middles, borders[..., -1:]], axis=-1)
    weights = np.concatenate([weights, outside[..., np.newaxis]], axis=-1)
    within = np.square(np.diff(borders, axis=-1)) / 12
    mean = (weights * points).sum(axis=-1, keepdims=True)
    variance = (weights * np.square(points - mean)).sum(axis=-1) + (weights[..., 1:-1] * within).sum(axis=-1)
    deviation: Floats = np.sqrt(variance)
    return deviation


def _noise_of_bridge_area(cumulative: Floats, widths: Floats) -> tuple[Floats, Floats]:
    """Mean and variance of the area of a Brownian bridge at the given cumulative shares, shape (..., borders).

    The area is the sum of the absolute values of normal variables (Nabeya 1951). The correlation of two of them is the
    root of the odds of the lower one over those of the upper one.
    """
    around = np.pad(widths, [(0, 0)] * (widths.ndim - 1) + [(1, 1)])
    reach = (around[..., 1:] + around[..., :-1]) / 2
    areas = reach * np.sqrt(np.maximum(cumulative * (1 - cumulative), 0))
    size = np.broadcast_to(_borders_per_group(reach), areas.shape[:-1])
    deviations, below = (_summed_in_groups(values, size) for values in (areas, areas * cumulative))
    with np.errstate(divide="ignore", invalid="ignore"):
        shares_below = below / deviations
        odds = np.sqrt(shares_below / (1 - shares_below))
        r = np.minimum(np.nan_to_num(odds[..., _LOWER] / odds[..., _UPPER]), 1)
    covariances = np.sqrt(1 - r**2) + r * np.arcsin(r) - 1
    between = np.einsum("...p,...p,...p->...", deviations[..., _LOWER], covariances, deviations[..., _UPPER])
    variance = (1 - 2 / np.pi) * np.square(deviations).sum(axis=-1) + 4 / np.pi * between
    return np.sqrt(2 / np.pi) * areas.sum(axis=-1), variance


def _borders_per_group(reach: Floats) -> NDArray[np.int64]:
    """How many neighbouring borders count as one, shape (...).

    It does not depend on the other features in the array: borders that are repeated as padding have no reach.
    """
    size: NDArray[np.int64] = np.maximum(-(-(reach > 0).sum(axis=-1) // _NOISE_BORDERS), 1)
    return size


def _summed_in_groups(values: Floats, sizes: NDArray[np.int64]) -> Floats:
    """Sums over groups of `sizes`, shape (...), neighbouring borders; values are of shape (..., borders)."""
    sums = np.zeros((*values.shape[:-1], _NOISE_BORDERS))
    for size in np.unique(sizes).tolist():
        is_of_size = sizes == size
        some = values[is_of_size][:, : _NOISE_BORDERS * size]
        padded = np.pad(some, [(0, 0), (0, _NOISE_BORDERS * size - some.shape[1])])
        sums[is_of_size] = padded.reshape(len(some), _NOISE_BORDERS, size).sum(axis=-1)
    return sums


def _noise_of_absolute_sum(deviations: Floats, correlations: Floats) -> tuple[Floats, Floats]:
    """Mean and variance of the sum of absolute values of normal variables (Nabeya 1951).

    `deviations` has shape (..., variables), `correlations` shape (..., variables, variables).
    """
    r = np.clip(np.nan_to_num(correlations), -1, 1)
    diagonal = np.eye(r.shape[-1], dtype=bool)
    covariances = 2 / np.pi * (np.sqrt(1 - r**2) + r * np.arcsin(r) - 1)
    covariances = np.where(diagonal, 1 - 2 / np.pi, covariances)
    variance = np.einsum("...i,...ij,...j->...", deviations, covariances, deviations)
    return np.sqrt(2 / np.pi) * deviations.sum(axis=-1), variance


def _with_gamma_noise(value: Floats, mean: Floats, variance: Floats) -> Comparison:
    """Noise of a statistic whose mean and variance without drift are known; its distribution is assumed to be gamma."""
    with np.errstate(divide="ignore", invalid="ignore"):
        shape, scale = np.square(mean) / variance, variance / mean
        can_vary = variance > 0
        p_value = np.where(can_vary, special.gammaincc(shape, value / scale), 1.0)
        floor = np.where(can_vary, special.gammainccinv(shape, 1 - NOISE_QUANTILE) * scale, 0.0)
    return Comparison(*_where(~np.isnan(value), value, floor, p_value))


def _root(squared: Comparison, unit: float = 1.0) -> Comparison:
    value, floor = (np.sqrt(part / unit) for part in (squared.value, squared.noise_floor))
    return Comparison(value, floor, squared.p_value)


def _where(is_comparable: NDArray[np.bool_], *results: Floats) -> list[Floats]:
    return [np.where(is_comparable, result, np.nan) for result in results]


def _with_noise(value: Floats, current: Counts, reference: Counts, *, scale: float | Floats) -> Comparison:
    """Noise of a statistic that is `scale` * (1/N + 1/M) * chi-square when nothing drifted."""
    size, reference_size = current.sum(axis=-1), reference.sum(axis=-1)
    freedom = ((current > 0) | (reference > 0)).sum(axis=-1) - 1
    is_comparable = (size > 0) & (reference_size > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        unit = scale * (1 / size + 1 / reference_size)
        # with a single occupied bin there is nothing that could differ
        p_value = np.where(freedom > 0, special.chdtrc(np.maximum(freedom, 1), value / unit), 1.0)
        floor = np.where(freedom > 0, unit * special.chdtri(np.maximum(freedom, 1), 1 - NOISE_QUANTILE), 0.0)
    return Comparison(*_where(is_comparable, value, floor, p_value))
