"""Detection delays of the losses in `bench.known_scenarios` over many seeds, compared with the best rule and a target.

    PYTHONPATH=$PWD python -m bench.loss_delays [--seeds 40] [--models 22] [--rows flights]

Losses that only labels show. A day's metric is known two days later, when most of its labels have come. Three delays, in days since the
first day of the fault:

- target: a week after the loss is certain to somebody who knows when the fault began
  (`bench.performance_with_all_labels.first_knowable`);
- the best rule: the CUSUM (Page 1954) that knows the mean after the fault and how much days differ, with as many false
  pages at the limit as its share of one a year allows (Siegmund 1985). No rule with so few is quicker on average in the worst case (Moustakides 1986);
- driftlake: the detector with the same share of the budget.

Not here: the whole product on a few seeds (`bench.known_scenarios`, `bench.decisions`).
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import numpy as np
from scipy.optimize import brentq

from bench.known_scenarios import ROWS, daily_values, rows_of
from bench.measure import environment, save
from bench.performance_with_all_labels import Floats, first_knowable
from bench.scenarios import DAYS, SCENARIOS, Rows, Scenario
from driftlake.maths.sequential import (
    DayDifferences,
    DayNoise,
    day_differences,
    day_noise,
    loss_evidence,
    page_threshold,
    pooled_noise,
)
from driftlake.quality.performance import LOOK_BACK_DAYS

NAMES = ("slice_loss", "regression_loss", "classes_loss", "slow_loss")
DELAY = 2
WITHIN_DAYS = 7
AUC_TOLERANCE, ERROR_TOLERANCE_SHARE = 0.02, 0.1
# a slow loss reaches its full size after this many days
SLOW_DAYS = 40
# correction for a random walk that is observed once a day (Siegmund 1985)
_OVERSHOOT = 1.166


def due(values: Floats, fault_on: int, tolerance: float) -> Floats:
    """Target days after the fault for a page, from values of shape (series, days)."""
    known_on = np.arange(values.shape[1]) + DELAY
    found = [first_knowable(row[:fault_on].mean() - row, known_on, fault_on, tolerance) for row in values]
    return np.array([np.inf if day is None else day - fault_on + WITHIN_DAYS for day in found])


def best_delays(values: Floats, fault_on: int, limit: float, loss: float, models: int) -> Floats:
    """Days until the CUSUM pages; it knows everything except the day of the fault.

    `loss` is the loss beyond the limit.
    """
    deviation = float(values[:, :fault_on].std(axis=1, ddof=1).mean())
    size = loss / deviation
    threshold = _cusum_threshold(size, 365 * models)
    total, first = np.zeros(len(values)), np.full(len(values), np.inf)
    for day in range(values.shape[1]):
        total = np.maximum(total, 0) + size * (limit - values[:, day]) / deviation - size**2 / 2
        is_first = (total >= threshold) & np.isinf(first) & (day >= fault_on)
        first[is_first] = day - fault_on + DELAY
    return first


def _cusum_threshold(size: float, days: float) -> float:
    def excess(threshold: float) -> float:
        corrected = threshold + _OVERSHOOT * size
        return float(2 * (np.exp(corrected) - 1 - corrected) / size**2 - days)

    return float(brentq(excess, 1e-3, 50))


def delays(values: Floats, fault_on: int, limit: float, models: int) -> Floats:
    """Nights after the fault until the detector pages; noise is learned every night, as the product does."""
    threshold, limits = page_threshold(1.0, models), np.full(len(values), limit)
    first = np.full(len(values), np.inf)
    for night in range(fault_on, values.shape[1]):
        known = values[:, max(0, night - LOOK_BACK_DAYS + 1) : night - DELAY + 1]
        evidence = loss_evidence(known, limits, threshold, _noise(day_differences(known)))
        noise = _noise(day_differences(known, began_at=evidence.began_at))
        evidence = loss_evidence(known, limits, threshold, noise)
        first[(evidence.log_evidence[:, -1] >= np.log(threshold)) & np.isinf(first)] = night - fault_on
    return first


def _noise(differences: DayDifferences) -> DayNoise:
    return replace(day_noise(differences, pooled_noise(differences)), day_count=differences.day_count)


def judge(scenario: Scenario, rows: Rows, seeds: int, models: int) -> dict[str, list[float]]:
    """Median and 90th percentile of each delay, and the share of the seeds in time."""
    values = np.stack([daily_values(scenario, np.random.default_rng([seed, 9]), rows) for seed in range(seeds)])
    fault_on = scenario.fault_day
    usual, changed = (
        float(part.mean())
        for part in (
            values[:, :fault_on],
            values[:, fault_on + (SLOW_DAYS if scenario.fault == "slow_loss" else 0) :],
        )
    )
    tolerance = ERROR_TOLERANCE_SHARE * -usual if scenario.task == "regression" else AUC_TOLERANCE
    limit = usual - tolerance
    wished = due(values, fault_on, tolerance)
    found = {
        "wished for": wished,
        "best rule": best_delays(values, fault_on, limit, limit - changed, models),
        "driftlake": delays(values, fault_on, limit, models),
    }
    return {
        name: [*np.percentile(days, [50, 90], method="lower").tolist(), float((days <= wished).mean())]
        for name, days in found.items()
    }


def main() -> None:
    """Print a row per loss."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=40)
    parser.add_argument("--models", type=int, default=22, help="Models that share one false page a year.")
    parser.add_argument("--rows", choices=ROWS, default=ROWS[0], help="Where rows come from.")
    arguments = parser.parse_args()
    rows = rows_of(arguments.rows)
    results = {}
    for scenario in SCENARIOS:
        if scenario.name in NAMES:
            results[scenario.name] = judge(scenario, rows, arguments.seeds, arguments.models)
            cells = (
                f"{name} {median:.0f} ({late:.0f}), {share:.0%}"
                for name, (median, late, share) in results[scenario.name].items()
            )
            print(f"{scenario.name:<18}" + "; ".join(cells), flush=True)
    print(save("loss_delays", {"environment": environment(), "days": DAYS, "rows": arguments.rows, "losses": results}))


if __name__ == "__main__":
    main()
