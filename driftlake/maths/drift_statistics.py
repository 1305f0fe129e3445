"""The registered drift statistics with their names, purposes and default thresholds.

Configuration, tables, alerts, reports and documentation are derived from STATISTICS, so adding a statistic takes a
function and an entry. Not here: the functions (`driftlake.maths.divergence`) and what is compared
(`driftlake.drift.comparison`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from driftlake.maths import divergence
from driftlake.maths.arrays import Counts, Floats
from driftlake.maths.binning import ABOVE, BELOW, MISSING, UNSEEN
from driftlake.maths.divergence import Comparison

Kind = Literal["numeric", "categorical"]
NUMERIC: tuple[Kind, ...] = ("numeric",)
CATEGORICAL: tuple[Kind, ...] = ("categorical",)
KINDS: tuple[Kind, ...] = ("numeric", "categorical")

# Random draws used to estimate the noise of a statistic without a known distribution.
_NOISE_DRAWS = 400


@dataclass(frozen=True, slots=True)
class Sides:
    """Counts of both sides, shape (..., bins), per stored bin and per coarse bin, with a description of the bins.

    `ends` are the lowest and highest values of the range bins, in order, shape (..., bins - 3, 2), nan for categories.
    """

    current: Counts
    reference: Counts
    current_coarse: Counts
    reference_coarse: Counts
    ends: Floats
    smoothing: float

    def part(self, days: slice, features: slice) -> Sides:
        """The counts of some days and features, which are the first two axes; a reference may be the same for all days."""

        def of(counts: Counts) -> Counts:
            return counts[days if len(counts) > 1 else slice(None), features]

        return replace(
            self,
            current=of(self.current),
            reference=of(self.reference),
            current_coarse=of(self.current_coarse),
            reference_coarse=of(self.reference_coarse),
            ends=self.ends[features],
        )


@dataclass(frozen=True, slots=True)
class Statistic:
    """A registered statistic. Larger absolute values are worse; without thresholds it is judged by its noise alone.

    Alerts call it by its `title`, or by its name in words if it has none. The name of a change of a share ends in
    _change; `share_of` then says what the share is of and is followed by the name of the feature: `missing`, `unseen
    categories of`.
    """

    name: str
    compare: Callable[[Sides], Comparison]
    kinds: tuple[Kind, ...]
    warn: float | None
    drift: float | None
    formula: str
    value_range: str
    misses: str
    source: str
    title: str = ""
    share_of: str = ""


def resampled(function: Callable[[Counts, Counts], float]) -> Callable[[Sides], Comparison]:
    """Make a comparison of any function of two count vectors, shape (bins,), that returns a number; its noise is simulated.

    Both sides are drawn from their pooled shares `_NOISE_DRAWS` times, so the noise floor and the p-value take as long
    as that many evaluations. The p-value is never below 1 / draws.
    """

    def compare(sides: Sides) -> Comparison:
        current, reference = np.broadcast_arrays(sides.current, sides.reference)
        results = np.full((3, *current.shape[:-1]), np.nan)
        for place in np.ndindex(current.shape[:-1]):
            if current[place].any() and reference[place].any():
                results[(slice(None), *place)] = _resample(function, current[place], reference[place])
        return Comparison(*results)

    return compare


def _resample(
    function: Callable[[Counts, Counts], float], current: Counts, reference: Counts
) -> tuple[float, float, float]:
    generator = np.random.default_rng(_NOISE_DRAWS)
    pooled = (current + reference) / (current.sum() + reference.sum())
    value = function(current, reference)
    draws = np.array(
        [
            abs(function(generator.multinomial(current.sum(), pooled), generator.multinomial(reference.sum(), pooled)))
            for _ in range(_NOISE_DRAWS)
        ]
    )
    return (
        value,
        float(np.quantile(draws, divergence.NOISE_QUANTILE)),
        float((1 + (draws >= abs(value)).sum()) / (1 + len(draws))),
    )


def _coarse(function: Callable[[Counts, Counts, float], Comparison]) -> Callable[[Sides], Comparison]:
    return lambda sides: function(sides.current_coarse, sides.reference_coarse, sides.smoothing)


def _fine(function: Callable[[Counts, Counts], Comparison]) -> Callable[[Sides], Comparison]:
    return lambda sides: function(sides.current, sides.reference)


def _share_of(bin_id: int) -> Callable[[Sides], Comparison]:
    return lambda sides: divergence.share_change(sides.current, sides.reference, bin_id)


STATISTICS: dict[str, Statistic] = {
    statistic.name: statistic
    for statistic in (
        Statistic(
            "psi",
            _coarse(divergence.psi),
            KINDS,
            0.1,
            0.25,
            "sum (q - p) ln(q / p)",
            "0 and up",
            "shifts inside a coarse bin",
            "Siddiqi 2006; noise: Yurdakul 2018",
            title="population stability index",
        ),
        Statistic(
            "kl_divergence",
            _coarse(divergence.kl_divergence),
            KINDS,
            0.05,
            0.125,
            "sum q ln(q / p)",
            "0 and up, nats",
            "categories or values that disappeared weigh little, because q is small there",
            "Kullback and Leibler 1951",
            title="Kullback-Leibler divergence",
        ),
        Statistic(
            "js_distance",
            _coarse(divergence.js_distance),
            KINDS,
            0.13,
            0.21,
            "square root of the base-2 Jensen-Shannon divergence",
            "0 to 1",
            "shifts inside a coarse bin; a square root, so small shifts look large",
            "Lin 1991; Endres and Schindelin 2003",
            title="Jensen-Shannon distance",
        ),
        Statistic(
            "hellinger_distance",
            _coarse(divergence.hellinger_distance),
            KINDS,
            0.11,
            0.17,
            "sqrt(1 - sum sqrt(p q))",
            "0 to 1",
            "shifts inside a coarse bin; a square root, so small shifts look large",
            "Hellinger 1909",
            title="Hellinger distance",
        ),
        Statistic(
            "total_variation_distance",
            lambda sides: divergence.total_variation_distance(sides.current_coarse, sides.reference_coarse),
            KINDS,
            0.1,
            0.2,
            "sum |q - p| / 2",
            "0 to 1",
            "shifts inside a coarse bin; rare bins weigh little",
            "Levin, Peres and Wilmer 2009",
        ),
        Statistic(
            "ks_distance",
            _fine(divergence.ks_distance),
            NUMERIC,
            0.1,
            0.2,
            "max |F(x) - G(x)|",
            "0 to 1",
            "missing values; shifts in the tails, where both are small",
            "Kolmogorov 1933; Smirnov 1948",
            title="Kolmogorov-Smirnov distance",
        ),
        Statistic(
            "wasserstein_distance",
            lambda sides: divergence.wasserstein_distance(sides.current, sides.reference, sides.ends),
            NUMERIC,
            0.2,
            0.5,
            "integral of |F(x) - G(x)| dx / s",
            "0 and up, standard deviations of the reference",
            "missing values; how far values lie beyond the training range",
            "Vallender 1974; noise: del Barrio, Giné and Matrán 1999",
            title="Wasserstein distance",
        ),
        Statistic(
            "g_statistic",
            _fine(divergence.g_statistic),
            CATEGORICAL,
            None,
            None,
            "2 sum O ln(O / E)",
            "0 and up",
            "how large a shift is, because it grows with the number of rows",
            "Sokal and Rohlf 1981",
            title="G statistic",
        ),
        Statistic(
            "missing_rate_change",
            _share_of(MISSING),
            KINDS,
            0.02,
            0.1,
            "share missing - share missing in the reference",
            "-1 to 1",
            "everything but missing values",
            "two-proportion test",
            share_of="missing",
        ),
        Statistic(
            "below_range_change",
            _share_of(BELOW),
            NUMERIC,
            0.02,
            0.1,
            "share below the training range - the same in the reference",
            "-1 to 1",
            "everything inside the training range",
            "two-proportion test",
            share_of="values below the training range of",
        ),
        Statistic(
            "above_range_change",
            _share_of(ABOVE),
            NUMERIC,
            0.02,
            0.1,
            "share above the training range - the same in the reference",
            "-1 to 1",
            "everything inside the training range",
            "two-proportion test",
            share_of="values above the training range of",
        ),
        Statistic(
            "unseen_change",
            _share_of(UNSEEN),
            CATEGORICAL,
            0.02,
            0.1,
            "share of categories never seen in training - the same in the reference",
            "-1 to 1",
            "shifts among known categories",
            "two-proportion test",
            share_of="unseen categories of",
        ),
    )
}


def register_statistic(statistic: Statistic) -> None:
    """Add a statistic of your own. Afterwards driftlake.yaml may name it.

    Raises ValueError if the name is taken.
    """
    if statistic.name in STATISTICS:
        raise ValueError(f"there is a statistic '{statistic.name}' already")
    STATISTICS[statistic.name] = statistic
