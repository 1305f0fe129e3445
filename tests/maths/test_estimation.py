"""Estimates before labels arrive agree with the later labels, within the interval."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special
from sklearn.isotonic import IsotonicRegression

from driftlake.maths.arrays import Counts, Floats
from driftlake.maths.estimation import Calibration, Estimate, Estimator, calibrate, isotonic
from driftlake.maths.ranking import auc
from driftlake.maths.recalibration import recalibrate

BINS = 30
PROBABILITIES = np.linspace(0.02, 0.6, BINS)
COUNTS = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=12).filter(
    lambda pairs: any(map(sum, pairs))
)


def drawn(generator: np.random.Generator, row_count: int) -> tuple[Counts, Counts]:
    """Predictions per bin, more at low scores, and how many of them are positive."""
    shares = np.linspace(2, 1, BINS)
    predictions = generator.multinomial(row_count, shares / shares.sum())
    return predictions, generator.binomial(predictions, PROBABILITIES)


def estimator(predictions: Counts, calibration: Calibration, periods: int = 1) -> Estimator:
    return Estimator(
        predictions[np.newaxis], (predictions * PROBABILITIES)[np.newaxis], [calibration], np.array([periods])
    )


def estimator_of(predictions: Counts, calibration: Calibration) -> Estimator:
    return Estimator(predictions[np.newaxis], np.zeros((1, len(predictions))), [calibration], np.array([1]))


@given(COUNTS)
def test_calibration_is_isotonic_regression(pairs: list[tuple[int, int]]) -> None:
    positives, negatives = np.array(pairs).T
    counts = positives + negatives
    known = np.flatnonzero(counts)
    expected = IsotonicRegression().fit(known, positives[known] / counts[known], counts[known]).predict(known)
    np.testing.assert_allclose(
        calibrate(positives[np.newaxis], negatives[np.newaxis]).probability[known], expected, atol=1e-12
    )


def test_a_bin_without_labels_lies_between_its_neighbours() -> None:
    calibration = calibrate(np.array([[1, 0, 3, 0]]), np.array([[9, 0, 7, 0]]))
    assert calibration.probability.tolist() == pytest.approx([0.1, 0.2, 0.3, 0.3])


def test_the_estimate_of_the_calibration_window_is_its_auc() -> None:
    predictions, positives = np.array([10, 10, 10]), np.array([1, 4, 8])
    calibration = calibrate(positives[np.newaxis], (predictions - positives)[np.newaxis])
    estimated = Estimator(predictions[np.newaxis], np.zeros((1, 3)), [calibration], np.array([1])).auc()
    assert estimated.value == pytest.approx(float(auc(positives, predictions - positives).value))


def test_rates_and_losses_are_means_over_predictions() -> None:
    calibration = calibrate(np.array([[1, 8]]), np.array([[9, 2]]))
    estimates = Estimator(np.array([[30, 10]]), np.array([[6.0, 7.0]]), [calibration], np.array([1]))
    assert estimates.positive_rate().value == pytest.approx([(30 * 0.1 + 10 * 0.8) / 40])
    assert estimates.accuracy(np.array([[0.0, 1.0]])).value == pytest.approx([(30 * 0.9 + 10 * 0.8) / 40])
    low, high = (-(c * np.log(s) + (1 - c) * np.log(1 - s)) for c, s in ((0.1, 0.2), (0.8, 0.7)))
    assert estimates.log_loss().value == pytest.approx([(30 * low + 10 * high) / 40])


def realised(predictions: Counts, positives: Counts) -> dict[str, Floats]:
    negatives = predictions - positives
    losses = -positives * np.log(PROBABILITIES) - negatives * np.log(1 - PROBABILITIES)
    above = PROBABILITIES >= 0.3
    return {
        "auc": auc(positives, negatives).value,
        "accuracy": (positives[above].sum() + negatives[~above].sum()) / predictions.sum(),
        "positive_rate": positives.sum() / predictions.sum(),
        "log_loss": losses.sum() / predictions.sum(),
    }


def estimated(predictions: Counts, calibration: Calibration, periods: int) -> dict[str, Estimate]:
    estimates = estimator(predictions, calibration, periods)
    return {
        "auc": estimates.auc(),
        "accuracy": estimates.accuracy((PROBABILITIES >= 0.3)[np.newaxis].astype(float)),
        "positive_rate": estimates.positive_rate(),
        "log_loss": estimates.log_loss(),
    }


def coverage(cases: Iterable[tuple[Calibration, Counts, Counts]], periods: int = 1) -> dict[str, Any]:
    """Share of the cases (calibration, predictions, positives among them) whose truth lies in the interval."""
    hits: dict[str, list[bool]] = {"auc": [], "accuracy": [], "positive_rate": [], "log_loss": []}
    for calibration, predictions, positives in cases:
        truth = realised(predictions, positives)
        for name, estimate in estimated(predictions, calibration, periods).items():
            hits[name].append(bool(estimate.confidence_low[0] <= truth[name] <= estimate.confidence_high[0]))
    return {name: np.mean(found) for name, found in hits.items()}


@pytest.mark.parametrize(("calibration_rows", "window_rows"), [(20_000, 1_000), (2_000, 20_000)])
def test_intervals_have_their_nominal_coverage(calibration_rows: int, window_rows: int) -> None:
    generator = np.random.default_rng(5)

    def cases() -> Iterator[tuple[Calibration, Counts, Counts]]:
        for _ in range(200):
            days = [drawn(generator, calibration_rows // 50) for _ in range(50)]
            counted, positives = (np.stack(side) for side in zip(*days, strict=True))
            yield calibrate(positives, counted - positives), *drawn(generator, window_rows)

    found = coverage(cases())
    # nominal 95 %; two standard errors over 200 draws are 3 %, and the equality of days is unknown to the estimate
    assert min(found.values()) >= 0.91, found


def drawn_days(generator: np.random.Generator, days: int, spread: float) -> tuple[Counts, Counts]:
    """Predictions and positives of days that differ by chance, and by `spread` on the log-odds."""
    counted = generator.multinomial(500, np.full(len(PROBABILITIES), 1 / len(PROBABILITIES)), days)
    moved = special.expit(special.logit(PROBABILITIES) + spread * generator.standard_normal((days, 1)))
    return counted, generator.binomial(counted, moved)


@pytest.mark.parametrize("spread", [0, 0.5])
def test_intervals_have_their_coverage_if_days_differ_by_more_than_chance(spread: float) -> None:
    generator = np.random.default_rng(6)

    def cases() -> Iterator[tuple[Calibration, Counts, Counts]]:
        for _ in range(200):
            counted, positives = drawn_days(generator, 60, spread)
            predictions, later = drawn_days(generator, 7, spread)
            yield calibrate(positives, counted - positives), predictions.sum(axis=0), later.sum(axis=0)

    found = coverage(cases(), periods=7)
    # nominal 95 %; two standard errors over 200 draws are 3 %; the independence of days is unknown to the estimate
    assert min(found.values()) >= 0.92, found


@pytest.mark.parametrize("spread", [0, 0.3])
def test_training_labels_alone_do_not_show_how_much_days_differ(spread: float) -> None:
    generator = np.random.default_rng(8)

    def cases() -> Iterator[tuple[Calibration, Counts, Counts]]:
        for _ in range(100):
            counted, positives = (side.sum(axis=0) for side in drawn_days(generator, 60, spread))
            predictions, later = (side.sum(axis=0) for side in drawn_days(generator, 7, spread))
            yield isotonic(positives, counted), predictions, later

    assert min(coverage(cases(), periods=7).values()) >= 0.95


def test_intervals_have_their_coverage_if_days_are_dependent_and_labels_late() -> None:
    generator = np.random.default_rng(9)
    predictions = drawn_days(generator, 100 * 118, 0)[0]
    noise = generator.standard_normal((100, 118))
    effects = np.zeros_like(noise)
    for day in range(118):
        effects[:, day] = 0.5 * effects[:, day - 1] + 0.4 * noise[:, day]
    moved = special.expit(special.logit(PROBABILITIES) + effects.reshape(-1, 1))
    positives = generator.binomial(predictions, moved)

    def cases() -> Iterator[tuple[Calibration, Counts, Counts]]:
        for counts, hits in zip(predictions.reshape(100, 118, -1), positives.reshape(100, 118, -1), strict=True):
            calibration = calibrate(hits[:90], (counts - hits)[:90], np.arange(117.0, 27, -1))
            yield calibration, counts[-28:].sum(axis=0), hits[-28:].sum(axis=0)

    found = coverage(cases(), periods=28)
    # nominal 95 %; two standard errors over 100 draws are 4 %
    assert min(found.values()) >= 0.90, found


def test_a_drift_of_the_labels_widens_intervals_by_how_far_ahead_a_window_is() -> None:
    generator = np.random.default_rng(10)
    counted = np.full((60, BINS), 20)
    drift = special.expit(special.logit(PROBABILITIES) + 0.02 * np.arange(-30, 30)[:, np.newaxis])
    positives = generator.binomial(counted, drift)
    soon, late = (calibrate(positives, counted - positives, np.arange(59.0, -1, -1) + delay) for delay in (0, 60))
    of_soon, of_late = (
        estimator(np.full(BINS, 100), each, periods=7).positive_rate().standard_error for each in (soon, late)
    )
    assert of_late > 1.5 * of_soon


def test_one_day_of_labels_does_not_show_how_much_days_differ() -> None:
    day = np.array([[1_000, 1_000]]), np.array([[3_000, 1_000]])
    days = tuple(np.repeat(side // 20, 20, axis=0) for side in day)
    of_one, of_many = (
        estimator_of(np.array([500, 500]), calibrate(*labels)).positive_rate().standard_error for labels in (day, days)
    )
    assert of_one > 2 * of_many


@pytest.mark.parametrize("spread", [0, 0.2])
@pytest.mark.parametrize("shift", [0, 0.12, 0.6])
def test_combined_old_and_recent_labels_have_small_errors_and_valid_intervals(shift: float, spread: float) -> None:
    generator = np.random.default_rng(7)
    before, now = (special.logit(PROBABILITIES) + moved for moved in (0, shift))
    even = np.full(BINS, 1 / BINS)

    def days(log_odds: Floats, count: int, labels: int) -> tuple[Counts, Counts]:
        counted = generator.multinomial(labels, even, count)
        return counted, generator.binomial(
            counted, special.expit(log_odds + spread * generator.standard_normal((count, 1)))
        )

    truth = special.expit(now + spread * np.linspace(-3, 3, 61)[:, np.newaxis]).mean(axis=1)
    weights = np.exp(-(np.linspace(-3, 3, 61) ** 2) / 2)
    expected = np.average(truth, weights=weights)
    errors, hits = [], []
    for _ in range(200):
        old_counts, old = (side.sum(axis=0) for side in days(before, 60, 1_000))
        counted, positives = days(now, 10, 100)
        negatives = counted - positives
        trained = isotonic(old, old_counts)
        learned = trained, calibrate(positives, negatives), recalibrate(trained, old_counts, positives, negatives)
        errors.append([abs(each.probability.mean() - expected) for each in learned])
        predictions, later = (side.sum(axis=0) for side in days(now, 7, 300))
        estimate = estimator(predictions, learned[-1], periods=7).positive_rate()
        hits.append(estimate.confidence_low[0] <= later.sum() / predictions.sum() <= estimate.confidence_high[0])
    of_training, of_recent, together = np.mean(errors, axis=0)
    # no rule can do better than 0.17 standard errors of the recent labels, a fifth of their error
    assert together <= min(of_training, of_recent) + 0.4 * of_recent, (of_training, of_recent, together)
    # nominal 95 %; two standard errors over 200 draws are 3 %
    assert np.mean(hits) >= 0.90


def test_many_recent_labels_outweigh_contradicting_old_ones() -> None:
    old, old_counts = np.round(1_000 * PROBABILITIES).astype(int), np.full(BINS, 1_000)
    trained = calibrate(old[np.newaxis], (old_counts - old)[np.newaxis])
    # neither level nor slope shifts; only the middle scores change their meaning
    now = np.where(np.abs(np.arange(BINS) - 15) < 5, PROBABILITIES[15], PROBABILITIES)
    positives = np.round(50_000 * now).astype(int)[np.newaxis]
    learned = recalibrate(trained, old_counts, positives, 50_000 - positives)
    np.testing.assert_allclose(learned.probability, now, atol=0.005)
