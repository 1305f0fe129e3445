"""The detector of losses keeps its error rate, detects losses, and gives the smallest detectable loss."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftlake.maths.arrays import Floats
from driftlake.maths.sequential import (
    MINIMUM_DAYS,
    DayNoise,
    LossEvidence,
    day_differences,
    day_noise,
    days_to_show,
    detectable_loss,
    loss_evidence,
    page_threshold,
    page_thresholds,
    pooled_noise,
    shown_within_28_days,
)

VALUES = st.lists(st.floats(-3, 3), min_size=1, max_size=12)
AUTOCORRELATIONS = st.floats(0, 0.7)


def noise(deviation: float = 1.0, autocorrelation: float = 0.0, day_count: float = 1e9, series: int = 1) -> DayNoise:
    return DayNoise(*(np.full(series, number, dtype=float) for number in (deviation, autocorrelation, day_count)))


def evidence(values: Floats, days: DayNoise, threshold: float = 1e12, own_errors: Floats | None = None) -> LossEvidence:
    """With a limit of 0; by default the threshold is so high that the detector is not capped."""
    return loss_evidence(values, np.zeros(len(values)), threshold, days, own_errors)


def drawn(deviation: float, autocorrelation: float, shape: tuple[int, int], seed: int = 0) -> Floats:
    """Days of an autoregression around 0."""
    values = np.random.default_rng(seed).standard_normal(shape)
    for day in range(1, shape[1]):
        values[:, day] = autocorrelation * values[:, day - 1] + np.sqrt(1 - autocorrelation**2) * values[:, day]
    return deviation * values


@given(VALUES, AUTOCORRELATIONS)
def test_at_the_limit_the_detector_is_expected_to_grow_by_one_at_most(before: list[float], carried: float) -> None:
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    next_day = carried * before[-1] + np.sqrt(1 - carried**2) * nodes
    values = np.column_stack([np.tile(before, (len(nodes), 1)), next_day])
    detector = np.exp(evidence(values, noise(1, carried, series=len(nodes))).log_evidence)
    expected = weights @ detector[:, -1] / weights.sum()
    assert expected <= (detector[0, -2] + 1) * (1 + 1e-6)


@given(VALUES, AUTOCORRELATIONS, st.floats(1e-3, 1e3), st.floats(-5, 5))
def test_scale_and_level_do_not_matter(days: list[float], carried: float, scale: float, level: float) -> None:
    values = np.array([days])
    moved = loss_evidence(
        level + scale * values, np.array([level]), 1e12, noise(scale, carried), np.full(values.shape, scale / 2)
    )
    plain = evidence(values, noise(1, carried), own_errors=np.full(values.shape, 0.5))
    np.testing.assert_allclose(moved.log_evidence, plain.log_evidence, rtol=1e-5, atol=1e-5)


@given(st.lists(st.floats(-3, 3) | st.none(), min_size=1, max_size=30))
def test_days_without_a_value_change_nothing(days: list[float | None]) -> None:
    values = np.array([days], dtype=float)
    is_known = ~np.isnan(values[0])
    known = values[:, is_known]
    with_gaps, without = evidence(values, noise(1, 0.3)), evidence(known, noise(1, 0.3))
    np.testing.assert_array_equal(with_gaps.log_evidence[:, is_known], without.log_evidence)
    learned = (
        day_noise(day_differences(values), prior=noise(day_count=20)),
        day_noise(day_differences(known), prior=noise(day_count=20)),
    )
    np.testing.assert_allclose(learned[0].deviation, learned[1].deviation)
    np.testing.assert_allclose(learned[0].autocorrelation, learned[1].autocorrelation)


@given(st.lists(st.floats(0, 3), min_size=1, max_size=150), st.lists(st.floats(-3, -0.01), min_size=1, max_size=30))
def test_good_days_before_do_not_delay_the_detection_of_a_loss(good: list[float], bad: list[float]) -> None:
    alone = evidence(np.array([bad]), noise(1, 0.3)).log_evidence[0]
    after = evidence(np.array([good + bad]), noise(1, 0.3)).log_evidence[0, len(good) :]
    assert (after >= alone - 1e-9).all()


def test_evidence_of_a_long_loss_fades_as_fast_as_of_a_short_one() -> None:
    short, long = (
        evidence(np.array([[-1.0] * count + [0.2] * 40]), noise(), threshold=365).log_evidence[0, count:]
        for count in (20, 200)
    )
    assert (long <= short).all()
    assert long[10] < np.log(365) / 2 < long[0]


def test_no_day_alone_pages() -> None:
    values = np.zeros((1, 61))
    values[0, -1] = -1e6
    assert evidence(values, noise(), threshold=365).log_evidence[0, -1] < np.log(365)


def test_the_first_day_of_a_loss_is_found() -> None:
    values = drawn(0.02, 0.2, (50, 90)) + 0.02
    values[:, 60:] -= 0.1
    found = evidence(values, day_noise(day_differences(values))).began_at
    assert (np.abs(found - 60) <= 1).mean() > 0.9


def test_without_a_bad_day_no_loss_has_begun() -> None:
    assert evidence(np.full((1, 5), 0.5), noise()).began_at.tolist() == [-1]


@pytest.mark.parametrize("shift", [0, -2])
def test_noise_is_learned_despite_a_loss(shift: float) -> None:
    values = drawn(0.1, 0.4, (200, 180))
    values[:, 120:] += shift * 0.1
    learned = day_noise(day_differences(values), prior=noise(0.1, 0.4, day_count=20))
    assert np.median(learned.deviation) == pytest.approx(0.1, rel=0.08)
    assert np.median(learned.autocorrelation) == pytest.approx(0.4, abs=0.06)


@given(st.integers(1, 59), st.floats(-10, 10), st.sets(st.integers(0, 59), max_size=20))
def test_what_is_learned_does_not_depend_on_a_loss_whose_first_day_is_known(
    first: int, loss: float, missing: set[int]
) -> None:
    values = drawn(1, 0.3, (1, 60))
    values[:, list(missing)] = np.nan
    lost = values - loss * (np.arange(60) >= first)
    learned, despite = (day_noise(day_differences(days, began_at=np.array([first]))) for days in (values, lost))
    np.testing.assert_allclose(despite.deviation, learned.deviation)
    np.testing.assert_allclose(despite.autocorrelation, learned.autocorrelation, atol=1e-9)


def test_without_a_loss_every_difference_counts() -> None:
    values = drawn(1, 0.3, (1, 60))
    with_none, plain = day_differences(values, began_at=np.array([-1])), day_differences(values)
    assert (with_none.near, with_none.far) == (plain.near, plain.far)


def test_a_single_far_day_hardly_changes_what_is_learned() -> None:
    values = drawn(1, 0.3, (50, 100))
    usual = day_noise(day_differences(values)).deviation
    values[:, 50] = -50
    assert np.abs(day_noise(day_differences(values)).deviation / usual - 1).max() < 0.5


def test_standard_errors_of_days_are_not_noise_between_days() -> None:
    errors = np.full((200, 180), 0.1)
    values = drawn(0.1, 0.0, errors.shape) + drawn(0.1, 0.0, errors.shape, seed=1)
    assert np.median(day_noise(day_differences(values, errors)).deviation) == pytest.approx(0.1, rel=0.1)


def test_a_day_of_few_labels_says_less() -> None:
    values, errors = np.full((1, 30), -1.0), np.full((1, 30), 0.5)
    uncertain = np.where(np.arange(30) < 15, 0.5, 5.0)[np.newaxis]
    assert (
        evidence(values, noise(), own_errors=uncertain).log_evidence[0, -1]
        < evidence(values, noise(), own_errors=errors).log_evidence[0, -1]
    )


def test_estimated_days_have_noise_of_their_own() -> None:
    values, is_estimated = np.full((1, 30), -0.5), np.arange(30)[np.newaxis] >= 20

    def last(of_estimates: DayNoise) -> float:
        found = loss_evidence(values, np.zeros(1), 1e12, noise(), estimated=(is_estimated, of_estimates))
        return float(found.log_evidence[0, -1])

    assert last(noise(3.0)) < last(noise()) < last(noise(0.3))


def test_thirteen_days_give_no_noise_without_other_series() -> None:
    values = drawn(1, 0.2, (1, MINIMUM_DAYS - 1))
    assert np.isnan(day_noise(day_differences(values)).deviation).all()
    assert (evidence(values - 5, day_noise(day_differences(values))).log_evidence == -np.inf).all()
    assert pooled_noise(day_differences(values)) is None
    assert 0.5 < day_noise(day_differences(values), prior=noise(day_count=20)).deviation[0] < 1.5


def test_a_series_of_few_days_is_shrunk_to_the_others() -> None:
    values = drawn(1, 0.3, (20, 100))
    values[:5, MINIMUM_DAYS - 1 :] = np.nan
    prior = pooled_noise(day_differences(values))
    assert prior is not None
    assert prior.deviation == pytest.approx(1, rel=0.1)
    narrow = day_differences(drawn(0.1, 0.3, (1, 15)))
    assert day_noise(narrow).deviation < day_noise(narrow, prior=prior).deviation < prior.deviation


def test_unlike_series_have_little_weight_for_each_other() -> None:
    alike, unlike = drawn(1, 0.3, (20, 100)), drawn(1, 0.3, (20, 100)) * np.geomspace(0.1, 10, 20)[:, np.newaxis]
    of_alike, of_unlike = pooled_noise(day_differences(alike)), pooled_noise(day_differences(unlike))
    assert of_alike is not None
    assert of_unlike is not None
    assert of_alike.day_count > 15
    assert of_unlike.day_count < 3


def test_the_autocorrelation_of_many_series_is_theirs() -> None:
    prior = pooled_noise(day_differences(drawn(1, 0.6, (40, 60))))
    assert prior is not None
    assert prior.autocorrelation == pytest.approx(0.6, abs=0.06)


def test_estimates_that_see_no_loss_do_not_silence_labels_that_do() -> None:
    values, is_estimated = np.full((1, 30), -1.0), np.arange(30)[np.newaxis] >= 27
    values[is_estimated] = 3.0
    found = loss_evidence(values, np.zeros(1), 1e12, noise(), estimated=(is_estimated, noise(0.3)))
    by_labels = evidence(values[:, :27], noise()).log_evidence
    assert found.log_evidence[0, -1] >= by_labels[0, -1] - np.log(2)


def test_models_at_the_limit_page_no_more_often_than_promised() -> None:
    values = drawn(0.085, 0.3, (150, 240))
    threshold = page_threshold(1, 1)
    began_at = evidence(values, day_noise(day_differences(values)), threshold).began_at
    days = day_noise(day_differences(values, began_at=began_at))
    is_over = evidence(values, days, threshold).log_evidence[:, 60:] >= np.log(threshold)
    assert 0 < np.count_nonzero(is_over.any(axis=1)) <= is_over.size / 365


def test_a_loss_shows_after_the_predicted_number_of_days() -> None:
    days, threshold = noise(0.085, 0.3, series=400), page_threshold(1, 1)
    values = drawn(0.085, 0.3, (400, 180)) + 0.02
    values[:, 60:] -= 0.12
    is_over = evidence(values, days, threshold).log_evidence[:, 60:] >= np.log(threshold)
    assert days_to_show(np.array([0.1]), noise(0.085, 0.3), threshold) == pytest.approx(
        np.median(is_over.argmax(axis=1)) + 1, abs=2
    )


@given(st.floats(0.01, 1), AUTOCORRELATIONS, st.sampled_from([365.0, 0.75 * 36500.0]))
def test_the_detectable_loss_shows_within_four_weeks(deviation: float, carried: float, threshold: float) -> None:
    days = noise(deviation, carried)
    smallest = detectable_loss(days, threshold)
    assert days_to_show(smallest, days, threshold) == pytest.approx(28, abs=0.5)
    assert days_to_show(smallest / 20, days, threshold) == np.inf


@pytest.mark.parametrize("threshold", [219.0, 2_190.0, 219_000.0])
def test_the_table_of_what_shows_in_four_weeks_is_that_of_the_simulation(threshold: float) -> None:
    shown = shown_within_28_days(noise(0.085, 0.3), np.array([threshold]))
    assert shown == pytest.approx(detectable_loss(noise(0.085, 0.3), threshold), rel=0.02)


def test_a_fleet_shares_its_budget() -> None:
    assert page_threshold(1, 100) == pytest.approx(100 * page_threshold(1, 1)) == pytest.approx(0.75 * 36500)


@given(st.lists(st.tuples(st.sampled_from([0.25, 1.0, 4.0]), st.integers(0, 2)), min_size=1, max_size=30))
def test_important_series_get_more_of_a_budget_that_stays_the_same(series: list[tuple[float, int]]) -> None:
    weights, nights = np.array(series).T
    thresholds = page_thresholds(0.1, weights, nights.astype(np.int64))
    for night in set(nights):
        of_night = nights == night
        assert (1 / thresholds[of_night]).sum() == pytest.approx(1 / page_threshold(0.1, 1))
        assert np.ptp(thresholds[of_night] * weights[of_night]) == pytest.approx(0, abs=1e-6)
        if len(set(weights[of_night])) == 1:
            assert set(thresholds[of_night]) == {page_threshold(0.1, np.count_nonzero(of_night))}
