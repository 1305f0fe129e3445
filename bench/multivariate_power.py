"""Power of the PCA reconstruction error for changed relations between features, and its rate of false alarms.

`python -m bench.multivariate_power`; prints a table, writes results/multivariate_power.json. The data has ten numeric
features: two have a correlation of 0.5, and four have a common factor. Their distributions never change. Training
samples and windows are drawn anew each time.
"""

from __future__ import annotations

import argparse

import numpy as np

from bench.measure import environment, save
from driftlake.maths.arrays import Floats, Indices
from driftlake.maths.numeric_bins import learn_numeric_bins
from driftlake.maths.pca import Components, Encoding, MeanTest, resampled_means

FEATURES, TRAINING_ROWS, SAMPLED_TRAINING_ROWS, SAMPLED_ROWS = 10, 20_000, 10_000, 2_000
TRAINED_CORRELATION = 0.5
CORRELATIONS = (0.5, 0.4, 0.3, 0.7, -0.5)


def draw(generator: np.random.Generator, size: int, correlation: float) -> Floats:
    """Rows of features, shape (size, FEATURES)."""
    rows = generator.normal(size=(size, FEATURES))
    rows[:, 1] = correlation * rows[:, 0] + np.sqrt(1 - correlation**2) * rows[:, 1]
    rows[:, 4:8] = 0.7 * generator.normal(size=(size, 1)) + np.sqrt(1 - 0.7**2) * rows[:, 4:8]
    return rows


class Trial:
    """Bins and encoding learned from one training set."""

    def __init__(self, generator: np.random.Generator) -> None:
        training = draw(generator, TRAINING_ROWS, TRAINED_CORRELATION)
        self._bins = [learn_numeric_bins(f"n{place}", of_feature) for place, of_feature in enumerate(training.T)]
        counts = [
            np.bincount(ids, minlength=bins.bin_count)
            for bins, ids in zip(self._bins, self._ids(training).T, strict=True)
        ]
        self._encoding = Encoding.of(self._bins, counts)

    def p_value(self, generator: np.random.Generator, correlation: float) -> float:
        """The p-value of a new window against a new training sample."""
        training = self._encoded(draw(generator, SAMPLED_TRAINING_ROWS, TRAINED_CORRELATION))
        components = Components.fit(training[::2])
        errors = components.errors(training[1::2])
        window = components.errors(self._encoded(draw(generator, SAMPLED_ROWS, correlation)))
        resampled = (resampled_means(errors, size, generator) for size in (SAMPLED_ROWS, len(errors)))
        return MeanTest.of(errors, *resampled).p_value(float(window.mean()))

    def _encoded(self, rows: Floats) -> Floats:
        return self._encoding.encode(self._ids(rows))

    def _ids(self, rows: Floats) -> Indices:
        return np.stack([bins.bin_ids(of_feature) for bins, of_feature in zip(self._bins, rows.T, strict=True)], axis=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=200)
    trials = parser.parse_args().trials
    generator = np.random.default_rng(0)
    trial = Trial(generator)
    found = {}
    print(f"{'correlation':>12}{'p <= 0.01':>12}{'p <= 0.05':>12}")
    for correlation in CORRELATIONS:
        p_values = np.array([trial.p_value(generator, correlation) for _ in range(trials)])
        found[str(correlation)] = {str(limit): int((p_values <= limit).sum()) for limit in (0.01, 0.05)}
        print(f"{correlation:>12}" + "".join(f"{count:>8} /{trials:>3}" for count in found[str(correlation)].values()))
    print(save("multivariate_power", {"environment": environment(), "trials": trials, "found": found}))


if __name__ == "__main__":
    main()
