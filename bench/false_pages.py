"""Rate of false pages of a rule for a model within its tolerance, and the number of days until it pages for a loss.

`python -m bench.false_pages [--series 400] [--config driftlake.yaml [--without FIRST LAST]]`; prints a table per world,
writes results/false_pages.json. The daily values of a performance metric are drawn: the baseline is known, the
tolerance is 0.02, days are an autoregression of order one, normal or with heavy tails (Student's t of four degrees of
freedom, same variance). Every rule is evaluated every night and learns what it needs from the days before. False pages
are counted over a year, for models that stay at the baseline and for models exactly at the tolerance; a page is new if
the seven nights before it were silent. Days to a page are the median over losses that begin after the history; 0 is the
night of the first day, and "-" more than the simulated nights. With `--config`, days of a warehouse are resampled in
blocks of a week as well. PSI over 0.25 is left out, because features cannot be simulated from a metric.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy import stats

from bench.measure import environment, save
from driftlake import open_warehouse
from driftlake.maths.arrays import Floats
from driftlake.maths.ranking import placements
from driftlake.maths.sequential import day_differences, day_noise, loss_evidence, page_threshold
from driftlake.quality.performance import LOOK_BACK_DAYS

TOLERANCE = 0.02
# losses below the baseline, and the number of simulated nights after each
LOSSES = {0.03: 210, 0.05: 140, 0.08: 98, 0.12: 70, 0.2: 42}
YEAR = 364
WINDOW = 28
# standard error from the rows of 28 days of the flights example if they were independent
ROWS_ERROR = 0.0045
# draws days: (generator, series, days) -> deviations from the mean
World = Callable[[np.random.Generator, int, int], Floats]
# evaluates values minus the limit, night by night after the history: 1 or more pages, below 0.5 is silent
Rule = Callable[[Floats, int], Floats]


def autoregression(
    deviation: float, autocorrelation: float, tails: str, generator: np.random.Generator, series: int, days: int
) -> Floats:
    """Days of an autoregression of order one, in its stationary state from the first."""
    shape = (series, days)
    shocks = generator.standard_normal(shape) if tails == "normal" else generator.standard_t(4, shape) / np.sqrt(2)
    values: Floats = shocks.copy()
    for day in range(1, days):
        values[:, day] = autocorrelation * values[:, day - 1] + np.sqrt(1 - autocorrelation**2) * shocks[:, day]
    return deviation * values


def resampled(days: Floats, generator: np.random.Generator, series: int, count: int) -> Floats:
    """Real days in blocks of a week (Künsch 1989), around their mean."""
    starts = generator.integers(0, len(days), (series, -(-count // 7)))
    picked = (starts[..., np.newaxis] + np.arange(7)) % len(days)
    blocks: Floats = (days - days.mean())[picked].reshape(series, -1)
    return blocks[:, :count]


def detector(budget: float, fleet: int, values: Floats, history: int) -> Floats:
    """The detector of driftlake, with the budget of false pages split over a fleet. The noise is learned anew every week, to save time; the product does so every night."""
    threshold = page_threshold(budget, fleet)
    found = []
    for start in range(history, values.shape[1], 7):
        end = min(start + 7, values.shape[1])
        seen = values[:, max(0, end - LOOK_BACK_DAYS) : end]
        evidence = loss_evidence(seen, np.zeros(len(seen)), threshold, day_noise(day_differences(seen)))
        noise = day_noise(day_differences(seen, began_at=evidence.began_at))
        evidence = loss_evidence(seen, np.zeros(len(seen)), threshold, noise)
        found.append(evidence.log_evidence[:, start - end :])
    strength: Floats = np.concatenate(found, axis=1) / np.log(threshold)
    return strength


def rows_interval(values: Floats, history: int) -> Floats:
    """28 days, the 95 % interval of independent rows below the limit."""
    mean: Floats = sliding_window_view(values, WINDOW, axis=1).mean(axis=2)
    pages: Floats = (mean + stats.norm.ppf(0.975) * ROWS_ERROR < 0)[:, history - WINDOW + 1 :].astype(np.float64)
    return pages


def days_interval(level: float, values: Floats, history: int) -> Floats:
    """28 days, the interval with days as independent clusters below the limit."""
    window = sliding_window_view(values, WINDOW, axis=1)
    error = window.std(axis=2, ddof=1) / np.sqrt(WINDOW)
    upper = window.mean(axis=2) + stats.t.ppf((1 + level) / 2, WINDOW - 1) * error
    pages: Floats = (upper < 0)[:, history - WINDOW + 1 :].astype(np.float64)
    return pages


def three_deviations(chunk: int, values: Floats, history: int) -> Floats:
    """NannyML's default: a chunk's metric below the mean of the reference's chunks by three of their standard deviations."""
    whole = history // chunk * chunk
    reference = values[:, history - whole : history].reshape(len(values), -1, chunk).mean(axis=2)
    lowest = reference.mean(axis=1) - 3 * reference.std(axis=1)
    nights = values.shape[1] - history
    recent = values[:, history : history + nights // chunk * chunk].reshape(len(values), -1, chunk).mean(axis=2)
    found = np.zeros((len(values), nights))
    found[:, chunk - 1 :: chunk] = recent < lowest[:, np.newaxis]
    return found


def cusum(size: float, values: Floats, history: int) -> Floats:
    """Page's sum (1954) for losses of `size` long-run standard deviations, one false page a year (Lorden 1971)."""
    total = np.zeros(len(values))
    found = []
    for shortfall in _standardised(values, history).T:
        total = np.maximum(total, 0) + size * shortfall - size**2 / 2
        found.append(total / np.log(365))
    return np.stack(found, axis=1)[:, history:]


def confidence_sequence(values: Floats, history: int) -> Floats:
    """The mean of all days is below the limit: one-sided normal mixture (Robbins 1970) at 95 % over all nights."""
    days = np.arange(1, values.shape[1] + 1) + _MIXTURE_DAYS
    scaled = np.cumsum(_standardised(values, history), axis=1) / np.sqrt(days)
    log_evidence = np.log(2 * np.sqrt(_MIXTURE_DAYS / days)) + scaled**2 / 2 + stats.norm.logcdf(scaled)
    strength: Floats = log_evidence[:, history:] / np.log(20)
    return strength


def conformal_martingale(values: Floats, history: int) -> Floats:
    """Days are worse than the days before them: simple jumper, summed as Shiryaev and Roberts do (Vovk 2021), one false page a year.

    It has no limit and assumes exchangeable days.
    """
    accounts = np.full((len(values), len(_BETS)), 1 / len(_BETS))
    evidence = np.zeros(len(values))
    ties = np.random.default_rng(4).random(values.shape)
    found = []
    for day in range(values.shape[1]):
        earlier = (values[:, :day] < values[:, day, np.newaxis]).sum(axis=1)
        rank = (earlier + ties[:, day]) / (day + 1)
        accounts = (1 - _JUMPS) * accounts + _JUMPS * accounts.mean(axis=1, keepdims=True)
        before = accounts.sum(axis=1)
        accounts = accounts * (1 + _BETS * (0.5 - rank[:, np.newaxis]))
        evidence = (evidence + 1) * accounts.sum(axis=1) / before
        found.append(np.log(evidence) / np.log(365))
    return np.stack(found, axis=1)[:, history:]


def _standardised(values: Floats, history: int) -> Floats:
    """How far days are below the limit, in long-run standard deviations of the history."""
    noise = day_noise(day_differences(values[:, :history]))
    shortfall: Floats = -values / np.sqrt(noise.long_run_variance())[:, np.newaxis]
    return shortfall


_MIXTURE_DAYS = 30
# bets of the simple jumper on rising ranks, on no change and on falling ranks; and the share that switches in a day
_BETS = np.array([-1.0, 0.0, 1.0])
_JUMPS = 0.01

OTHERS: Mapping[str, Rule] = {
    "28 days, rows' interval 95 %": rows_interval,
    "28 days, days' interval 95 %": partial(days_interval, 0.95),
    "28 days, days' interval 99.9 %": partial(days_interval, 0.999),
    "three standard deviations, days": partial(three_deviations, 1),
    "three standard deviations, weeks": partial(three_deviations, 7),
    "CUSUM for 0.5 standard deviations": partial(cusum, 0.5),
    "confidence sequence 95 %": confidence_sequence,
    "conformal martingale": conformal_martingale,
}
OURS: Mapping[tuple[float, int], Rule] = {
    (budget, fleet): partial(detector, budget, fleet) for budget in (1.0, 0.1) for fleet in (1, 10, 100)
}


@dataclass(frozen=True, slots=True)
class Found:
    """False pages a year of the fleet, and median days to a page for each of LOSSES, None if it takes longer."""

    at_baseline: float
    at_tolerance: float
    delays: Sequence[float | None]

    def row(self) -> str:
        """The text in the table."""
        delays = "".join(f"{'-' if delay is None else f'{delay:.0f}':>7}" for delay in self.delays)
        return f"{self.at_baseline:>10.3f}{self.at_tolerance:>10.3f}{delays}"


def judge(rule: Rule, world: World, history: int, series: int, fleet: int = 1) -> Found:
    """Results of a rule in a world; every rule gets the same days."""
    rates = []
    for margin in (TOLERANCE, 0.0):
        values = margin + world(np.random.default_rng([1, history]), series, history + YEAR)
        rates.append(fleet * float(_pages(rule(values, history)).sum(axis=1).mean()) * 365 / YEAR)
    delays = [_delay(rule, world, history, series, loss) for loss in LOSSES]
    return Found(rates[0], rates[1], delays)


def _pages(strength: Floats) -> Floats:
    """Nights on which a page goes out: at 1, unless an earlier one is open; it closes after seven nights below a half."""
    pages = np.zeros(strength.shape, dtype=bool)
    silent = np.full(len(strength), 7)
    for night, now in enumerate(strength.T):
        pages[:, night] = (now >= 1) & (silent >= 7)
        is_open = pages[:, night] | (silent < 7)
        silent = np.where(pages[:, night] | is_open & (now >= 0.5), 0, silent + 1)
    return pages


def _delay(rule: Rule, world: World, history: int, series: int, loss: float) -> float | None:
    values = TOLERANCE + world(np.random.default_rng([2, history]), series, history + LOSSES[loss])
    values[:, history:] -= loss
    is_over = rule(values, history) >= 1
    delay = float(np.median(np.where(is_over.any(axis=1), is_over.argmax(axis=1), np.inf)))
    return delay if np.isfinite(delay) else None


def recovery(world: World, history: int, series: int, loss: float = 0.12) -> float:
    """Median nights after a loss of 60 days has ended until the evidence is below half of the threshold."""
    values = TOLERANCE + world(np.random.default_rng([3, history]), series, history + 60 + 120)
    values[:, history : history + 60] -= loss
    is_silent = detector(1.0, 1, values, history)[:, 60:] < 0.5
    return float(np.median(np.where(is_silent.any(axis=1), is_silent.argmax(axis=1), np.inf)))


def influences(positives: Floats, negatives: Floats) -> Floats:
    """Contribution of every day to the AUC of all days, from counts of shape (days, bins); their mean is that AUC."""
    of_positives, of_negatives = placements(positives.sum(axis=0), negatives.sum(axis=0))
    gains: Floats = np.zeros(len(positives))
    mean = 0.0
    for counts, placement in ((positives, of_positives), (negatives, of_negatives)):
        total = counts.sum(axis=0)
        mean = float((total * placement).sum() / total.sum())
        gains += (counts * (placement - mean)).sum(axis=1) / total.sum() * len(counts)
    return mean + gains


def real_days(config: Path, left_out: Sequence[date]) -> dict[str, Floats]:
    """Daily values of each version in production, without those from the first to the last day of `left_out`."""
    query = """
        select model_version, prediction_on, bin_id, sum(positive_count)::double as positives, sum(negative_count)::double as negatives
        from label_cohorts
        where deployment = 'production' and segment = 'all'
        group by all
    """
    with open_warehouse(config) as warehouse:
        rows = warehouse.sql(query).to_pylist()
    if left_out:
        rows = [row for row in rows if not left_out[0] <= row["prediction_on"] <= left_out[1]]
    versions = sorted({row["model_version"] for row in rows})
    return {version: _daily_values([row for row in rows if row["model_version"] == version]) for version in versions}


def _daily_values(rows: Sequence[Mapping[str, Any]]) -> Floats:
    fields = {name: [row[name] for row in rows] for name in ("prediction_on", "bin_id", "positives", "negatives")}
    days, day = np.unique(np.array(fields["prediction_on"], dtype="datetime64[D]"), return_inverse=True)
    counts = np.zeros((2, len(days), max(fields["bin_id"]) + 1))
    for side, name in zip(counts, ("positives", "negatives"), strict=True):
        side[day, fields["bin_id"]] = fields[name]
    return influences(*counts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--series", type=int, default=400)
    parser.add_argument("--config", type=Path, help="driftlake.yaml of a warehouse whose days are resampled")
    parser.add_argument(
        "--without", type=date.fromisoformat, nargs=2, default=[], help="first and last day to leave out"
    )
    arguments = parser.parse_args()
    worlds: dict[str, World] = {
        f"sd {deviation}, autocorrelation {correlation}, {tails}": partial(
            autoregression, deviation, correlation, tails
        )
        for deviation, correlation in ((0.085, 0.3), (0.03, 0.2))
        for tails in ("normal", "heavy tails")
    }
    for version, days in real_days(arguments.config, arguments.without).items() if arguments.config else ():
        worlds[f"days of {version}: {len(days)}, sd {days.std():.3f}"] = partial(resampled, days)
    results = {name: _table(name, world, arguments.series) for name, world in worlds.items()}
    print(save("false_pages", {"environment": environment(), "series": arguments.series, "worlds": results}))


def _table(title: str, world: World, series: int) -> dict[str, Found | float]:
    print(f"\n{title}\n{'':<44}{'baseline':>10}{'tolerance':>10}" + "".join(f"{loss:>7}" for loss in LOSSES))
    rows: dict[str, Found | float] = {}

    def add(name: str, found: Found) -> None:
        rows[name] = found
        print(f"{name:<44}{found.row()}", flush=True)

    for name, rule in OTHERS.items():
        add(name, judge(rule, world, 60, series))
    for (budget, fleet), rule in OURS.items():
        add(f"driftlake, {budget} a year over {fleet}", judge(rule, world, 60, series, fleet))
    for history in (30, 120):
        add(f"driftlake, 1.0 a year over 1, history {history}", judge(OURS[1.0, 1], world, history, series))
    rows["days of silence after a recovery"] = recovery(world, 60, series)
    print(f"nights until the evidence has halved after a recovery: {rows['days of silence after a recovery']:.0f}")
    return rows


if __name__ == "__main__":
    main()
