"""Sequential test of whether a model has become worse than it may be: pure functions that take arrays.

Arrays have shape (series, days): a value per day, days in order, where larger is better and nan means no value. A
series is a model as of a night, so a backfill passes a row per night. Under the null hypothesis, the mean of the days
is at the limit or above. The detector is the Shiryaev-Roberts sum of e-processes, mixed over sizes of loss (Shiryaev
1963; Roberts 1966; Shin, Ramdas and Rinaldo 2023, "E-detectors"). Under a loss of any size and any first day, its
evidence grows. Without one, its mean after n days is at most n, so it passes a threshold of A less than once in A days.
Days are dependent: the previous day is subtracted, and variances are those of long-run means (Newey and West 1987;
prewhitened by an autoregression of order one, Andrews and Monahan 1992). Not here: what the value of a day is, and what
follows from a loss.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from driftlake.maths.arrays import Floats, Indices

# Losses beyond the limit that are looked for, in long-run standard deviations of a day. Few, because they share the
# evidence. Small ones weigh more: they need every day they can get, while large ones show soon in any case.
SIZES = np.array([0.2, 0.35, 0.65, 1.2, 2.0])
_WEIGHTS = SIZES**-0.4 / (SIZES**-0.4).sum()
# With fewer days of its own and no other model, it is unknown how much days differ.
MINIMUM_DAYS = 14
# The autocorrelation of other models weighs as much as this many days of its own.
_AUTOCORRELATION_PRIOR_DAYS = 60
# The logarithm of a variance learned from n days is known with a variance of about 3 / n.
_DAYS_OF_A_VARIANCE = 3.0
# Smallest difference between models: variance of the logarithm of the variance between days.
_SMALLEST_SPREAD = 0.15
# Autocorrelation that is assumed where nothing is pooled.
_AUTOCORRELATION = 0.3
_LARGEST_AUTOCORRELATION = 0.8
# A day further out counts as one at this many standard deviations, so that no day alone decides.
_FURTHEST = 3.0
# Median of the absolute value of a standard normal variable.
_NORMAL_MEDIAN = 0.6745
_WINSOR = 4.0
# Number of simulated series for a median delay.
_PATHS = 401
_LAGS = (1, 2, 3, 4)
# How much more days two to four apart differ than neighbours, by autocorrelation.
_AUTOCORRELATIONS = np.linspace(-0.5, 0.95, 146)
_RATIOS = 1 + _AUTOCORRELATIONS + (2 * _AUTOCORRELATIONS**2 + _AUTOCORRELATIONS**3) / 3
_SMALLEST_DEVIATION = 1e-9
# By how many times evidence may exceed the threshold, so that it falls soon after a recovery.
_CAP = 3.0
# The sum exceeds its threshold by some margin when it passes it. With this share of the threshold, a model exactly at the
# limit pages 0.5 to 0.8 times as often as the budget allows (bench/false_pages.py).
_THRESHOLD_SHARE = 0.75
_SMALLEST_THRESHOLD = 10.0


@dataclass(frozen=True, slots=True)
class DayNoise:
    """How much days differ, beyond the standard errors of the days themselves.

    `deviation` is the standard deviation between days, `autocorrelation` is that of a day with the next day that has a value,
    and `day_count` is the number of days they were learned from, including days of other models. Each has shape (series,), or
    (1,) if pooled. `deviation` is nan where nothing is known.
    """

    deviation: Floats
    autocorrelation: Floats
    day_count: Floats

    def long_run_variance(self) -> Floats:
        """Variance of the mean of n days times n, for large n, of shape (series,)."""
        variance: Floats = self.deviation**2 * (1 + self.autocorrelation) / (1 - self.autocorrelation)
        return variance

    def of_days(
        self, shape: tuple[int, ...], is_other: NDArray[np.bool_] | None = None, others: DayNoise | None = None
    ) -> tuple[Floats, Floats]:
        """Deviation and autocorrelation of each day, of shape (series, days); `others` is the noise of some of the days."""
        deviation, autocorrelation = (
            np.broadcast_to(field[:, np.newaxis], shape) for field in (self.deviation, self.autocorrelation)
        )
        if is_other is None or others is None:
            return deviation, autocorrelation
        other_deviation, other_autocorrelation = others.of_days(shape)
        return (
            np.where(is_other, other_deviation, deviation),
            np.where(is_other, other_autocorrelation, autocorrelation),
        )

    def with_safety_margin(self, threshold: float | Floats) -> DayNoise:
        """The same with larger deviations where they were learned from few days; the higher the threshold, the larger."""
        with np.errstate(divide="ignore", invalid="ignore"):
            factor = 1 + np.log(threshold) / self.day_count
            return replace(self, deviation=self.deviation * np.sqrt(factor))


@dataclass(frozen=True, slots=True)
class LossEvidence:
    """Evidence of a loss beyond the limit.

    `log_evidence`, shape (series, days), is the logarithm of the detector as of each day. It is -inf before the first value
    and where the noise is unknown. `began_at`, shape (series,), is the index of the most likely first day of the loss as of
    the last day, and -1 where there is no evidence of a loss.
    """

    log_evidence: Floats
    began_at: Indices


def page_threshold(false_pages_per_year: float, series_count: float) -> float:
    """Threshold of each of `series_count` detectors that keeps their false pages together within the budget."""
    return max(_THRESHOLD_SHARE * 365 * series_count / false_pages_per_year, _SMALLEST_THRESHOLD)


def page_thresholds(false_pages_per_year: float, weights: Floats, nights: Indices) -> Floats:
    """Thresholds of detectors of several nights, shape (series,): those of a night share the budget by their weights.

    Rates of false pages add up even for dependent series, so a larger share for one is a smaller one for others.
    """
    places = np.unique(nights, return_inverse=True)[1]
    counts = np.bincount(places, weights)[places] / weights
    return np.array([page_threshold(false_pages_per_year, count) for count in counts.tolist()])


@dataclass(frozen=True, slots=True)
class DayDifferences:
    """Differences between the days of a series: half the mean squared difference of neighbours and of days two to four apart.

    Each has shape (series,), without the standard errors of the days themselves; `day_count` is the number of days.
    """

    near: Floats
    far: Floats
    day_count: Floats

    def of(self, series: Sequence[int] | NDArray[np.integer[Any]]) -> DayDifferences:
        """Differences of some of the series."""
        return DayDifferences(self.near[series], self.far[series], self.day_count[series])

    def autocorrelation(self, usual: float | Floats) -> Floats:
        """Autocorrelation of a day with the next, drawn to the `usual` one as if 60 days had shown it."""
        with np.errstate(divide="ignore", invalid="ignore"):
            seen = np.where(self.near > 0, np.interp(self.far / self.near, _RATIOS, _AUTOCORRELATIONS), usual)
        share = self.day_count / (self.day_count + _AUTOCORRELATION_PRIOR_DAYS)
        found: Floats = np.clip(share * seen + (1 - share) * usual, 0, _LARGEST_AUTOCORRELATION)
        return found

    def variance(self, autocorrelation: Floats) -> Floats:
        """Variance between days."""
        found: Floats = (self.near + 3 * self.far) / (4 - sum(autocorrelation**lag for lag in _LAGS))
        return np.maximum(found, 0)


def day_differences(
    values: Floats, own_errors: Floats | None = None, began_at: Indices | None = None
) -> DayDifferences:
    """Differences between days of `values`, shape (series, days); nan days are passed over.

    They give deviation and autocorrelation independently of the level of the series. A difference beyond four robust standard
    deviations counts as four. `own_errors`, of the same shape, are the standard errors of the days themselves. `began_at`,
    shape (series,), is the index of the first day of a likely loss, -1 without one. Differences of a day before it and a day
    since are left out, so that no loss enlarges the noise by which it is judged.
    """
    own = np.zeros(values.shape) if own_errors is None else own_errors
    is_known = np.isfinite(values) & np.isfinite(own)
    order = np.argsort(is_known, axis=1, kind="stable")
    compact, variance = (
        np.take_along_axis(np.where(is_known, field, np.nan), order, axis=1) for field in (values, own**2)
    )
    first = np.zeros((len(values), 1), dtype=np.int64) if began_at is None else began_at[:, np.newaxis]
    near, far = _half_squared_differences(compact, variance, is_since=order >= first)
    return DayDifferences(near, far, is_known.sum(axis=1).astype(np.float64))


def day_noise(differences: DayDifferences, prior: DayNoise | None = None) -> DayNoise:
    """How days of each series differ; `prior`, from `pooled_noise`, has the weight of its `day_count` days (60 for the autocorrelation)."""
    autocorrelation = differences.autocorrelation(_AUTOCORRELATION if prior is None else prior.autocorrelation)
    variance, day_count = differences.variance(autocorrelation), differences.day_count
    if prior is None:
        variance = np.where(day_count < MINIMUM_DAYS, np.nan, variance)
        return DayNoise(np.sqrt(variance), autocorrelation, day_count)
    share = day_count / (day_count + prior.day_count)
    variance = share * variance + (1 - share) * prior.deviation**2
    return DayNoise(np.sqrt(variance), autocorrelation, day_count + prior.day_count)


def _half_squared_differences(compact: Floats, variance: Floats, is_since: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Half the mean squared difference of days one apart, and of days two to four apart, without what days vary by themselves."""
    distances = [
        np.where(is_since[:, lag:] == is_since[:, :-lag], np.abs(compact[:, lag:] - compact[:, :-lag]), np.nan)
        for lag in _LAGS
    ]
    owns = [variance[:, lag:] + variance[:, :-lag] for lag in _LAGS]
    usual = _median_of_known(distances[1])[:, np.newaxis] / _NORMAL_MEDIAN
    furthest = np.where(usual > 0, _WINSOR * usual, np.inf)
    halves = [
        np.where(np.isfinite(distance), np.minimum(distance, furthest) ** 2 - own, 0).sum(axis=1)
        / 2
        / np.maximum(np.isfinite(distance).sum(axis=1), 1)
        for distance, own in zip(distances, owns, strict=True)
    ]
    return np.maximum(halves[0], 0), np.maximum(np.mean(halves[1:], axis=0), 0)


def _median_of_known(values: Floats) -> Floats:
    """Median along the days, the upper of two; 0 without any. Much quicker than nanmedian."""
    count = np.isfinite(values).sum(axis=1)
    if not count.any():
        return np.zeros(len(values))
    median: Floats = np.take_along_axis(np.sort(values, axis=1), (count // 2)[:, np.newaxis], axis=1)[:, 0]
    return np.where(count > 0, median, 0)


def pooled_noise(differences: DayDifferences) -> DayNoise | None:
    """Noise that the series have in common; None if no series has MINIMUM_DAYS days.

    Deviations are pooled as logarithms, so that one volatile model does not delay the detection of losses in all others.
    The `day_count` of the result is its weight in days of a single series: large where models are alike, small where they
    differ (empirical Bayes).
    """
    is_known = differences.day_count >= MINIMUM_DAYS
    if not is_known.any():
        return None
    known = differences.of(np.flatnonzero(is_known))
    days = known.day_count
    scale = np.maximum(known.near + 3 * known.far, _SMALLEST_DEVIATION**2)
    near, far = (np.average(field / scale, weights=days) for field in (known.near, known.far))
    together = DayDifferences(np.array([near]), np.array([far]), np.array([days.sum()]))
    autocorrelation = together.autocorrelation(_AUTOCORRELATION)
    logarithms = np.log(np.maximum(known.variance(autocorrelation), _SMALLEST_DEVIATION**2))
    mean = np.average(logarithms, weights=days)
    spread = np.average((logarithms - mean) ** 2, weights=days) - np.average(_DAYS_OF_A_VARIANCE / days, weights=days)
    worth = _DAYS_OF_A_VARIANCE / max(spread, _SMALLEST_SPREAD)
    return DayNoise(np.exp(np.array([mean]) / 2), autocorrelation, np.array([worth]))


def loss_evidence(
    values: Floats,
    limit: Floats,
    threshold: float | Floats,
    noise: DayNoise,
    own_errors: Floats | None = None,
    estimated: tuple[NDArray[np.bool_], DayNoise] | None = None,
) -> LossEvidence:
    """Evidence that days of shape (series, days) have a mean below `limit`, shape (series,).

    `estimated` says which days are estimates before labels come, and what noise these have. Estimates do not see every
    loss, so the evidence is the mean of two detectors: one of all days and one that waits for labels. Evidence starts at
    the first day of `values`.
    """
    noise = noise.with_safety_margin(threshold)
    own = np.zeros(values.shape) if own_errors is None else own_errors
    if estimated is None:
        return _evidence(values, limit, threshold, noise.of_days(values.shape), own, np.zeros(values.shape, dtype=bool))
    is_estimated, of_estimates = estimated
    of_days = noise.of_days(values.shape, is_estimated, of_estimates.with_safety_margin(threshold))
    of_all = _evidence(values, limit, threshold, of_days, own, is_estimated)
    of_labels = _evidence(np.where(is_estimated, np.nan, values), limit, threshold, of_days, own, is_estimated)
    return LossEvidence(
        np.logaddexp(of_all.log_evidence, of_labels.log_evidence) - np.log(2),
        np.where(of_all.log_evidence[:, -1] > of_labels.log_evidence[:, -1], of_all.began_at, of_labels.began_at),
    )


def _evidence(
    values: Floats,
    limit: Floats,
    threshold: float | Floats,
    noise: tuple[Floats, Floats],
    own_errors: Floats,
    is_estimated: NDArray[np.bool_],
) -> LossEvidence:
    """Evidence of one detector; `noise` is the deviation and autocorrelation of every day, each of shape (series, days)."""
    deviation, autocorrelation = noise
    own = own_errors**2
    is_known = np.isfinite(values + deviation + own + limit[:, np.newaxis])
    between = deviation**2
    long_run = np.sqrt(between * (1 + autocorrelation) / (1 - autocorrelation) + own)
    long_run = np.where(is_known, np.maximum(long_run, _SMALLEST_DEVIATION), np.inf)
    with np.errstate(invalid="ignore"):
        carried = np.where(is_known, autocorrelation * between / np.maximum(between + own, _SMALLEST_DEVIATION**2), 0)
    shortfall = np.where(is_known, limit[:, np.newaxis] - values, 0)
    news = _without_previous_day(shortfall, carried, is_known, is_estimated) / long_run
    information = (1 / long_run**2).sum(axis=1) / np.maximum(is_known.sum(axis=1), 1)
    precision = 1 / long_run / np.sqrt(np.maximum(information, _SMALLEST_DEVIATION**2))[:, np.newaxis]
    return _accumulated(np.minimum(news, _FURTHEST), precision, threshold)


def _without_previous_day(
    shortfall: Floats, carried: Floats, is_known: NDArray[np.bool_], is_estimated: NDArray[np.bool_]
) -> Floats:
    """Innovation of each day, scaled to the long run: the share carried over from the last day of the same kind is subtracted."""
    if not shortfall.size:
        return shortfall
    previous = _previous_known(is_known)
    follows = (previous >= 0) & (np.take_along_axis(is_estimated, previous, axis=1) == is_estimated)
    share = np.where(follows, np.take_along_axis(carried, previous, axis=1), 0)
    news: Floats = (shortfall - share * np.take_along_axis(shortfall, previous, axis=1)) / (1 - share)
    return news


def _previous_known(is_known: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Index of the day before that has a value, -1 if there is none."""
    days = np.where(is_known, np.arange(is_known.shape[1]), -1)
    latest = np.maximum.accumulate(days, axis=1)
    return np.concatenate([np.full((len(days), 1), -1), latest[:, :-1]], axis=1)


def _accumulated(news: Floats, precision: Floats, threshold: float | Floats) -> LossEvidence:
    """The detector from standardised shortfalls, of days of different precision; days of precision 0 change nothing."""
    series_count, day_count = news.shape
    detector = np.zeros((series_count, len(SIZES)))
    best, began = np.zeros_like(detector), np.full(detector.shape, -1)
    log_evidence = np.full((series_count, day_count), -np.inf)
    cap = threshold * _CAP
    for day in range(day_count):
        size = SIZES * precision[:, day, np.newaxis]
        step = size * news[:, day, np.newaxis] - size**2 / 2
        is_known = precision[:, day] > 0
        detector = np.where(is_known[:, np.newaxis], (detector + 1) * np.exp(step), detector)
        total = detector @ _WEIGHTS
        detector *= np.minimum(1, cap / np.maximum(total, cap))[:, np.newaxis]
        with np.errstate(divide="ignore"):
            log_evidence[:, day] = np.log(np.minimum(total, cap))
        began = np.where(is_known[:, np.newaxis] & (best <= 0), day, began)
        best = np.maximum(best, 0) + step
    likely = np.argmax(best + np.log(_WEIGHTS), axis=1)[:, np.newaxis]
    is_loss = np.take_along_axis(best, likely, axis=1) > 0
    return LossEvidence(log_evidence, np.where(is_loss, np.take_along_axis(began, likely, axis=1), -1)[:, 0])


def days_to_show(loss: Floats, noise: DayNoise, threshold: float, own_error: Floats | float = 0.0) -> Floats:
    """Days after which a mean `loss` beyond the limit has passed `threshold` in half of the cases; inf if not within a year.

    `own_error` is the usual standard error of a day. For a loss below the baseline, subtract the tolerance first.
    """
    sizes, days = _median_delays(threshold)
    size = loss / np.sqrt(noise.with_safety_margin(threshold).long_run_variance() + np.square(own_error))
    shown: Floats = np.interp(size, sizes, days)
    return np.where(size < sizes[0], np.inf, shown)


def detectable_loss(
    noise: DayNoise, threshold: float, own_error: Floats | float = 0.0, within_days: int = 28
) -> Floats:
    """The loss beyond the limit that is detected within this many days in half of the cases.

    Add the tolerance for the loss below the baseline.
    """
    sizes, days = _median_delays(threshold)
    size = np.interp(-within_days, -days, sizes)
    loss: Floats = size * np.sqrt(noise.with_safety_margin(threshold).long_run_variance() + np.square(own_error))
    return loss


# Losses beyond the limit, in long-run standard deviations, that show within 28 days in half of the cases, by log
# threshold. They are results of _median_delays, whose simulation takes too long for every night.
_LOG_THRESHOLDS = np.log([109.5, 219, 1_095, 2_190, 21_900, 219_000])
_SIZES_IN_28_DAYS = np.array([0.183, 0.306, 0.511, 0.584, 0.787, 0.922])


def shown_within_28_days(noise: DayNoise, thresholds: Floats) -> Floats:
    """The loss beyond the limit that is detected within 28 days in half of the cases, by interpolation, shape (series,)."""
    sizes = np.interp(np.log(thresholds), _LOG_THRESHOLDS, _SIZES_IN_28_DAYS)
    loss: Floats = sizes * np.sqrt(noise.with_safety_margin(thresholds).long_run_variance())
    return loss


@lru_cache(maxsize=64)
def _median_delays(threshold: float) -> tuple[Floats, Floats]:
    """Losses in long-run standard deviations, descending, and the median days until simulated normal days show them."""
    generator = np.random.default_rng(0)
    excesses = np.geomspace(0.05, 5, 40)
    detector = np.zeros((_PATHS, 1, len(SIZES)))
    first = np.full((_PATHS, len(excesses)), np.inf)
    unchanged = np.exp(-(SIZES**2) / 2)
    gains = np.exp(np.multiply.outer(excesses, SIZES)) * unchanged
    for day in range(-60, 366):
        noise = np.exp(np.multiply.outer(generator.standard_normal(_PATHS), SIZES))[:, np.newaxis]
        detector = np.minimum((detector + 1) * noise * (gains if day > 0 else unchanged), threshold * _CAP)
        if day > 0:
            first = np.minimum(first, np.where(detector @ _WEIGHTS >= threshold, day, np.inf))
    days = np.median(first, axis=0)
    is_shown = np.isfinite(days)
    return excesses[is_shown], days[is_shown]
