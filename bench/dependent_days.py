"""Coverage of the intervals of estimates if days are autocorrelated, labels arrive late, and a season moves the rates.

`python -m bench.dependent_days`; days of 300 labels whose log-odds move by an autoregression of order one and a season
of a year, with 60,000 training labels and 90 labelled days. Prints the share of realised rates and AUCs inside the 95 %
interval over windows of 1, 7 and 28 days.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np
from scipy import signal, special

from bench.recalibration import SCORES, SHARES, rate_and_auc
from driftlake.maths.estimation import Estimator, isotonic
from driftlake.maths.recalibration import recalibrate

SEED = 2026
LABELS_PER_DAY, LABELLED_DAYS, TRAINING_LABELS = 300, 90, 60_000
WINDOWS = (1, 7, 28)


@dataclass(frozen=True, slots=True)
class World:
    """How days differ: standard deviation and autocorrelation of the log-odds, the size of a season, days until labels come."""

    spread: float
    autocorrelation: float
    season: float
    delay_days: int


WORLDS = [
    World(spread, autocorrelation, season, delay_days)
    for spread, autocorrelation, season in ((0, 0, 0), (0.2, 0, 0), (0.2, 0.5, 0), (0.6, 0.5, 0), (0.3, 0.3, 0.3))
    for delay_days in (0, 21)
]


def is_inside(world: World, window_days: int, generator: np.random.Generator) -> dict[str, bool]:
    """Whether the realised values of one draw lie inside the intervals."""
    day_count = LABELLED_DAYS + world.delay_days + window_days
    noise = generator.standard_normal(day_count + 30) * np.sqrt(1 - world.autocorrelation**2)
    effects = world.spread * signal.lfilter([1], [1, -world.autocorrelation], noise)[30:]
    effects += world.season * np.sin(2 * np.pi * (np.arange(day_count) / 365 + generator.random()))
    counts = generator.multinomial(LABELS_PER_DAY, SHARES, day_count)
    positives = generator.binomial(counts, special.expit(SCORES + effects[:, np.newaxis]))
    trained_counts = generator.multinomial(TRAINING_LABELS, SHARES)
    trained = isotonic(generator.binomial(trained_counts, special.expit(SCORES)), trained_counts)
    known = slice(day_count - world.delay_days - LABELLED_DAYS, day_count - world.delay_days)
    ages = np.arange(day_count - 1.0, -1, -1)[known]
    learned = recalibrate(trained, trained_counts, positives[known], (counts - positives)[known], ages)
    predictions, later = (side[-window_days:].sum(axis=0) for side in (counts, positives))
    known_share = max(0, 1 - world.delay_days / window_days)
    estimator = Estimator(
        predictions[np.newaxis],
        np.zeros((1, len(SCORES))),
        [learned],
        np.array([window_days]),
        np.array([known_share]),
    )
    found = {}
    for statistic, realised in rate_and_auc(later, predictions).items():
        estimate = getattr(estimator, statistic)()
        found[statistic] = bool(estimate.confidence_low[0] <= realised <= estimate.confidence_high[0])
    return found


def main() -> None:
    """Print a row for each world."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=200)
    repetitions = parser.parse_args().repetitions
    for world in WORLDS:
        generator = np.random.default_rng(SEED)
        shares: dict[str, list[str]] = {"positive_rate": [], "auc": []}
        for window_days in WINDOWS:
            draws = [is_inside(world, window_days, generator) for _ in range(repetitions)]
            for statistic, of_windows in shares.items():
                of_windows.append(f"{np.mean([draw[statistic] for draw in draws]):.0%}")
        print(world, *(f"{statistic} {' / '.join(of_windows)}" for statistic, of_windows in shares.items()), flush=True)


if __name__ == "__main__":
    main()
