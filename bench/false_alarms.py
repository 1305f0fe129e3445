"""Rates of false alarms of drift rules without drift, and their power for shifts of known size.

`python -m bench.false_alarms`; prints three tables, writes results/false_alarms.json. Both sides of a comparison are
random halves of one sample of 40 features (normal, log-normal, counts, categories); for the power, a tenth of the
features of the current half is shifted. Every rule sees the same halves. The third table compares the power of rules at
equal false alarm rates: each has the cut-off at which it flags 1 % of the features without a shift.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import pyarrow as pa
from scipy import stats

from bench.measure import environment, save
from driftlake.config import DriftSettings
from driftlake.maths import binning
from driftlake.maths.arrays import Floats
from driftlake.maths.divergence import Comparison, benjamini_hochberg, ks_distance, psi
from driftlake.maths.numeric_bins import learn_numeric_bins
from driftlake.profiles.kernel import count_column

FEATURES = 40
SIZES = (200, 500, 2_000, 20_000, 200_000)
# in standard deviations of a normal feature; in the other features the same share of rows moves
SHIFTS = (0.1, 0.2, 0.5)
# at which rules are compared
FALSE_ALARM_RATE = 0.01
SETTINGS = DriftSettings()


def draw(kind: int, size: int, generator: np.random.Generator, shift: float = 0.0) -> Floats:
    """A feature of one of four kinds."""
    normal = generator.normal(shift, 1, size)
    match kind % 4:
        case 0:
            return normal
        case 1:
            return np.exp(normal)
        case 2:
            return stats.poisson.ppf(stats.norm.cdf(normal), 5)
        case _:
            # twelve categories of falling frequency
            return np.floor(12 * stats.norm.cdf(normal) ** 2)


@dataclass(frozen=True, slots=True)
class Sample:
    """Both sides of every feature, by kind of feature, and the comparisons of their counts."""

    current: list[Floats]
    reference: list[Floats]
    psi: Comparison
    ks: Comparison

    @classmethod
    def of(cls, current: list[Floats], reference: list[Floats]) -> Sample:
        """Bins are learned from the reference, as from training data."""
        found = [_compare(kind, *sides) for kind, sides in enumerate(zip(current, reference, strict=True))]
        stacked = [
            Comparison(
                *(
                    np.array([getattr(comparison, name) for comparison in comparisons])
                    for name in ("value", "noise_floor", "p_value")
                )
            )
            for comparisons in zip(*found, strict=True)
        ]
        return cls(current, reference, *stacked)


def _compare(kind: int, current: Floats, reference: Floats) -> tuple[Comparison, Comparison]:
    if kind % 4 == 3:
        categories, counts = np.unique(reference, return_counts=True)
        bins = binning.learn_category_bins("x", [str(int(category)) for category in categories], counts)
    else:
        bins = learn_numeric_bins("x", reference)
    fine = [count_column(pa.array(values), bins).bins[0] for values in (current, reference)]
    coarse = [np.bincount(bins.coarse_ids, counts).astype(np.int64) for counts in fine]
    nothing = Comparison(*(np.array(value) for value in (0.0, 1.0, 1.0)))
    return psi(*coarse), nothing if bins.grid is None else ks_distance(*fine)


def _plain_psi(current: Floats, reference: Floats) -> float:
    """PSI in its usual form: reference deciles, 0.0001 for an empty bin."""
    edges = np.unique(np.quantile(reference, np.linspace(0, 1, 11))[1:-1])
    shares = [
        np.bincount(np.searchsorted(edges, side, "right"), minlength=len(edges) + 1) / len(side)
        for side in (current, reference)
    ]
    q, p = (np.maximum(share, 1e-4) for share in shares)
    return float(((q - p) * np.log(q / p)).sum())


def _ks_p_value(current: Floats, reference: Floats) -> float:
    return float(stats.ks_2samp(current, reference, method="asymp").pvalue)


def _believed(comparison: Comparison, threshold: float) -> Floats:
    is_believed = (comparison.value > comparison.noise_floor) & (
        benjamini_hochberg(comparison.p_value) <= SETTINGS.false_alarm_rate
    )
    return is_believed & (comparison.value >= threshold)


def _each(rule: Callable[[Floats, Floats], float]) -> Callable[[Sample], Floats]:
    return lambda sample: np.array([rule(*sides) for sides in zip(sample.current, sample.reference, strict=True)])


def _ks_or_wasserstein(current: Floats, reference: Floats) -> bool:
    """Evidently's default for numbers: KS at 0.05 up to 1,000 rows, the scaled Wasserstein distance at 0.1 beyond."""
    if len(reference) <= 1_000:
        return _ks_p_value(current, reference) < 0.05
    return bool(stats.wasserstein_distance(current, reference) / max(reference.std(), 1e-3) >= 0.1)


RULES: Mapping[str, Callable[[Sample], Floats]] = {
    "PSI > 0.1": _each(lambda current, reference: _plain_psi(current, reference) > 0.1),
    "PSI > 0.25": _each(lambda current, reference: _plain_psi(current, reference) > 0.25),
    "KS, p < 0.05": _each(lambda current, reference: _ks_p_value(current, reference) < 0.05),
    "KS p < 0.05 to 1,000 rows, then Wasserstein > 0.1": _each(_ks_or_wasserstein),
    "driftlake: psi beyond noise (no threshold)": lambda sample: _believed(sample.psi, 0.0),
    "driftlake: ks_distance beyond noise (no threshold)": lambda sample: _believed(sample.ks, 0.0),
    "driftlake: outcome of psi, as it comes": lambda sample: _believed(
        sample.psi, SETTINGS.thresholds_of("psi")[0] or 0
    ),
}


# The value that each rule compares with its cut-off; larger is worse.
SCORES: Mapping[str, Callable[[Sample], Floats]] = {
    "PSI": _each(_plain_psi),
    "KS p-value": _each(lambda current, reference: -_ks_p_value(current, reference)),
    "driftlake: p-value of psi": lambda sample: -sample.psi.p_value,
    # categories have no order, and therefore no such distance
    "driftlake: p-value of ks_distance, else of psi": lambda sample: (
        -np.where([kind % 4 == 3 for kind in range(FEATURES)], sample.psi.p_value, sample.ks.p_value)
    ),
}


@dataclass(frozen=True, slots=True)
class Found:
    """The share of shifted features (or of all, without a shift) that each rule flags, and their values."""

    rates: dict[str, float]
    scores: dict[str, Floats]

    @classmethod
    def of(cls, size: int, shift: float, trials: int) -> Found:
        """In halves of `size` rows, drawn `trials` times."""
        flagged, scores = defaultdict(list), defaultdict(list)
        moved = list(range(FEATURES // 10) if shift else range(FEATURES))
        for sample in _samples(size, shift, trials, moved):
            for name, rule in RULES.items():
                flagged[name].append(rule(sample)[moved])
            for name, score in SCORES.items():
                scores[name].append(score(sample)[moved])
        return cls(
            {name: float(np.mean(flags)) for name, flags in flagged.items()},
            {name: np.concatenate(values) for name, values in scores.items()},
        )

    def rates_beyond(self, unshifted: Found) -> dict[str, float]:
        """Shares beyond the cut-offs at which FALSE_ALARM_RATE of the unshifted features are flagged."""
        cut_offs = {
            name: np.quantile(scores, 1 - FALSE_ALARM_RATE, method="higher")
            for name, scores in unshifted.scores.items()
        }
        return {name: float(np.mean(self.scores[name] > cut_off)) for name, cut_off in cut_offs.items()}


def _samples(size: int, shift: float, trials: int, moved: Sequence[int]) -> Iterator[Sample]:
    generator = np.random.default_rng([size, int(shift * 100)])
    for _ in range(trials):
        current = [draw(kind, size, generator, shift if kind in moved else 0.0) for kind in range(FEATURES)]
        yield Sample.of(current, [draw(kind, size, generator) for kind in range(FEATURES)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=25)
    trials = parser.parse_args().trials
    unshifted = {size: Found.of(size, 0.0, trials) for size in SIZES}
    alarms = {f"{size:,} rows": found.rates for size, found in unshifted.items()}
    power, power_at_rate = {}, {}
    for size, shift in product((500, 2_000, 20_000), SHIFTS):
        found = Found.of(size, shift, trials)
        name = f"{size:,} rows, {shift} sd"
        power[name], power_at_rate[name] = found.rates, found.rates_beyond(unshifted[size])
    tables = {
        "false alarms, share of features": alarms,
        "shifted features found": power,
        f"shifted features found at {FALSE_ALARM_RATE:.0%} false alarms": power_at_rate,
    }
    for title, table in tables.items():
        print(f"\n{title}\n{'':<52}" + "".join(f"{name:>20}" for name in table))
        for rule in next(iter(table.values())):
            print(f"{rule:<52}" + "".join(f"{table[name][rule]:>20.1%}" for name in table))
    results = {"alarms": alarms, "power": power, "power_at_the_same_rate": power_at_rate}
    print(save("false_alarms", {"environment": environment(), "trials": trials, **results}))


if __name__ == "__main__":
    main()
