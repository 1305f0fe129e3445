"""Errors of estimates that weigh training labels and recent labels, with and without a change in the meaning of scores.

`python -m bench.recalibration`; 60,000 training labels, then days of 100 labels whose log-odds moved by a shift, and by
a normal amount of each day. The rate and the AUC of the scores' distribution are estimated; intervals are for the
labels of seven days of 300 predictions. SEED is for reporting; parameters were chosen with seeds 1 and 2.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special, stats

from driftlake.maths.arrays import Counts, Floats
from driftlake.maths.estimation import Calibration, Estimator, calibrate, isotonic
from driftlake.maths.ranking import auc
from driftlake.maths.recalibration import recalibrate

SEED = 2026
SCORES = np.linspace(-4.5, 2.5, 100)
SHARES = stats.norm.pdf(SCORES, -1, 1) / stats.norm.pdf(SCORES, -1, 1).sum()
MANY = np.round(SHARES * 1_000_000).astype(np.int64)
LABELS_PER_DAY = 100
WINDOW_DAYS, PREDICTIONS_PER_DAY = 7, 300


@dataclass(frozen=True, slots=True)
class World:
    """How far the log-odds have moved since training, and how far they move from day to day (standard deviation)."""

    shift: float
    day_spread: float

    def labels(
        self, generator: np.random.Generator, days: int, labels_per_day: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Labels per bin, and the positives among them, of each day."""
        counts = generator.multinomial(labels_per_day, SHARES, days)
        of_day = self.day_spread * generator.standard_normal((days, 1))
        return counts, generator.binomial(counts, special.expit(SCORES + self.shift + of_day))

    def expected(self) -> Floats:
        """Share of positives of each bin over many days."""
        nodes, weights = np.polynomial.hermite_e.hermegauss(40)
        moved = special.expit(SCORES[:, np.newaxis] + self.shift + self.day_spread * nodes)
        return np.asarray(moved @ weights / weights.sum())


def repetition(world: World, generator: np.random.Generator, recent_days: int) -> list[dict[str, float]]:
    """Errors and intervals of one draw of everything."""
    counts, positives = (side.sum(axis=0) for side in World(0, world.day_spread).labels(generator, 60, 1_000))
    trained = isotonic(positives, counts)
    recent_counts, recent = world.labels(generator, recent_days, LABELS_PER_DAY)
    learned: dict[str, Calibration] = {
        "training alone": trained,
        "recent alone": calibrate(recent, recent_counts - recent),
        "driftlake": recalibrate(trained, counts, recent, recent_counts - recent),
    }
    predictions, later = (side.sum(axis=0) for side in world.labels(generator, WINDOW_DAYS, PREDICTIONS_PER_DAY))
    truth = rate_and_auc(MANY * world.expected(), MANY)
    realised = rate_and_auc(later, predictions)
    rows = []
    for source, calibration in learned.items():
        of_many = Estimator(MANY[np.newaxis], np.zeros((1, len(MANY))), [calibration], np.array([WINDOW_DAYS]))
        of_week = Estimator(predictions[np.newaxis], np.zeros((1, len(MANY))), [calibration], np.array([WINDOW_DAYS]))
        for statistic in ("positive_rate", "auc"):
            interval = getattr(of_week, statistic)()
            low, high = interval.confidence_low[0], interval.confidence_high[0]
            rows.append(
                {
                    "statistic": statistic,
                    "source": source,
                    "error": abs(getattr(of_many, statistic)().value[0] - truth[statistic]),
                    "inside": low <= realised[statistic] <= high,
                    "width": high - low,
                }
            )
    return rows


def rate_and_auc(positives: Counts | Floats, counts: Counts) -> dict[str, float]:
    value = auc(positives, counts - positives).value  # type: ignore[arg-type]  # expected counts are no whole numbers
    return {"positive_rate": float(positives.sum() / counts.sum()), "auc": float(value)}


def main() -> None:
    """Print a row for each world, number of labels and statistic."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=200)
    repetitions = parser.parse_args().repetitions
    for statistic, recent_days, day_spread, shift, source, error, inside, width in _table(repetitions):
        print(f"{statistic:14} {recent_days:3} days, spread {day_spread}, shift {shift:4}: {source:15}", end=" ")
        print(f"error {error:.4f}, inside {inside:.1%}, width {width:.3f}")


def _table(repetitions: int) -> list[tuple[str, int, float, float, str, float, float, float]]:
    found = []
    for recent_days in (3, 10, 50):
        for day_spread in (0.0, 0.2):
            for shift in (0.0, 0.12, 0.6):
                generator = np.random.default_rng(SEED)
                world = World(shift, day_spread)
                rows = [row for _ in range(repetitions) for row in repetition(world, generator, recent_days)]
                means = pd.DataFrame(rows).groupby(["statistic", "source"], sort=False).mean()
                for (statistic, source), row in means.iterrows():
                    found.append((statistic, recent_days, day_spread, shift, source, *row.tolist()))
    return found


if __name__ == "__main__":
    main()
