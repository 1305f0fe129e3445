"""Divergences agree with scipy, stay in their range, and have the right noise."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats
from scipy.spatial.distance import jensenshannon

from driftlake.maths.arrays import Counts, Floats
from driftlake.maths.binning import ABOVE, BELOW, FIRST_RANGE, MISSING
from driftlake.maths.divergence import (
    Comparison,
    benjamini_hochberg,
    g_statistic,
    hellinger_distance,
    js_distance,
    kl_divergence,
    ks_distance,
    psi,
    share_change,
    shares,
    total_variation_distance,
    wasserstein_distance,
)
from driftlake.maths.drift_statistics import STATISTICS, Sides, Statistic, register_statistic, resampled

COUNTS = st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 10_000)), min_size=2, max_size=12)
# Both sides have rows and at least two bins are in use.
PAIRS = COUNTS.map(lambda pairs: np.array(pairs, dtype=np.int64).T).filter(
    lambda sides: bool(sides.sum(axis=1).all() and (sides.sum(axis=0) > 0).sum() > 1)
)
Divergence = Callable[..., Comparison]
DIVERGENCES: list[Divergence] = [psi, kl_divergence, js_distance, hellinger_distance]
# A shift and its mirror image: with one row added to each bin the shares are 1/3, 2/3 and 2/3, 1/3.
SHIFTED, ORIGINAL = np.array([1, 3]), np.array([3, 1])


def smoothed(sides: Counts) -> tuple[Floats, Floats]:
    """Current and reference shares over the bins in use, half a row (of a thousand, if there are more) added to each."""
    current, reference = (side + 0.5 * max(side.sum() / 1000, 1) for side in sides[:, sides.sum(axis=0) > 0])
    return current / current.sum(), reference / reference.sum()


def noise_unit(sides: Counts) -> float:
    return float((1 / sides.sum(axis=1)).sum())


def as_floats(comparison: Comparison) -> tuple[float, float, float]:
    return float(comparison.value), float(comparison.noise_floor), float(comparison.p_value)


def p_values_without_drift(name: str, bin_shares: list[float]) -> Floats:
    """Of 20,000 days of 1,000 rows each, against 5,000 training rows from the same distribution."""
    generator = np.random.default_rng(20240301)
    current = generator.multinomial(1_000, bin_shares, size=20_000)
    reference = generator.multinomial(5_000, bin_shares, size=20_000)
    return compared(name, current, reference).p_value


def compared(name: str, current: Counts, reference: Counts) -> Comparison:
    """A registered statistic of counts whose bins are the coarse ones too, of numbers from 0 on, one apart."""
    ends = ends_of(np.arange(max(current.shape[-1] - 2, 2), dtype=float))
    return STATISTICS[name].compare(Sides(current, reference, current, reference, ends, 0.5))


def ends_of(borders: Floats) -> Floats:
    """Ends of bins that follow each other."""
    return np.column_stack([borders[:-1], borders[1:]])


def test_psi_of_a_swap_of_one_and_two_thirds_is_two_thirds_of_ln_2() -> None:
    assert psi(SHIFTED, ORIGINAL, 1.0).value == pytest.approx(2 / 3 * math.log(2))


@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_a_vanished_or_new_category_has_the_same_divergence_on_a_day_and_in_a_week(divergence: Divergence) -> None:
    training, day = np.array([45_000, 5_000, 0]), np.array([2_700, 0, 300])
    assert divergence(7 * day, training).value == pytest.approx(divergence(day, training).value)


def test_psi_of_a_tenth_that_vanished_is_that_of_half_a_row_of_a_thousand() -> None:
    # 0.9 and 0.1 become 1 and 0; with half a row of a thousand added to each the shares are these over 1,001
    before, after = np.array([900.5, 100.5]) / 1001, np.array([1000.5, 0.5]) / 1001
    expected = ((after - before) * np.log(after / before)).sum()
    assert psi(np.array([20_000, 0]), np.array([9_000, 1_000])).value == pytest.approx(expected)


def test_kl_divergence_of_a_swap_of_one_and_two_thirds_is_a_third_of_ln_2() -> None:
    assert kl_divergence(SHIFTED, ORIGINAL, 1.0).value == pytest.approx(1 / 3 * math.log(2))


def test_js_distance_is_the_root_of_the_entropy_gained_by_mixing_in_bits() -> None:
    entropy_of_a_third = -(1 / 3 * math.log2(1 / 3) + 2 / 3 * math.log2(2 / 3))
    assert js_distance(SHIFTED, ORIGINAL, 1.0).value == pytest.approx(math.sqrt(1 - entropy_of_a_third))


@given(PAIRS)
def test_psi_is_the_sum_of_scipys_relative_entropies_of_both_directions(sides: Counts) -> None:
    q, p = smoothed(sides)
    assert psi(*sides).value == pytest.approx(stats.entropy(q, p) + stats.entropy(p, q), abs=1e-12)


@given(PAIRS)
def test_kl_divergence_is_scipys_relative_entropy_of_current_to_reference(sides: Counts) -> None:
    q, p = smoothed(sides)
    assert kl_divergence(*sides).value == pytest.approx(stats.entropy(q, p), abs=1e-12)


@given(PAIRS)
def test_js_distance_is_scipys_in_base_2(sides: Counts) -> None:
    q, p = smoothed(sides)
    # scipy's root of a difference that should be zero can be nan
    with np.errstate(invalid="ignore"):
        expected = np.nan_to_num(jensenshannon(p, q, base=2))
    assert js_distance(*sides).value == pytest.approx(expected, abs=1e-7)


@given(PAIRS)
def test_psi_is_symmetric(sides: Counts) -> None:
    assert psi(*sides).value == pytest.approx(psi(*sides[::-1]).value, abs=1e-12)


@given(PAIRS)
def test_js_distance_is_symmetric(sides: Counts) -> None:
    assert js_distance(*sides).value == pytest.approx(js_distance(*sides[::-1]).value, abs=1e-7)


@given(PAIRS)
def test_js_distance_is_between_0_and_1(sides: Counts) -> None:
    assert 0 <= js_distance(*sides).value <= 1


@pytest.mark.parametrize("divergence", [psi, kl_divergence])
@given(sides=PAIRS)
def test_psi_and_kl_divergence_are_not_negative(divergence: Divergence, sides: Counts) -> None:
    assert divergence(*sides).value >= -1e-12


@pytest.mark.parametrize("name", STATISTICS)
def test_every_statistic_is_zero_for_identical_counts(name: str) -> None:
    counts = np.array([5, 0, 100, 895])
    assert compared(name, counts, counts).value == pytest.approx(0, abs=1e-7)


@pytest.mark.parametrize("divergence", DIVERGENCES)
@given(sides=PAIRS, position=st.integers(0, 12))
def test_a_bin_that_is_empty_on_both_sides_changes_nothing(
    divergence: Divergence, sides: Counts, position: int
) -> None:
    widened = np.insert(sides, min(position, sides.shape[1]), 0, axis=1)
    assert as_floats(divergence(*widened)) == pytest.approx(as_floats(divergence(*sides)), abs=1e-12)


@pytest.mark.parametrize("name", STATISTICS)
@pytest.mark.parametrize(
    ("current", "reference"), [([0, 0, 0, 0], [3, 1, 0, 5]), ([3, 1, 0, 5], [0, 0, 0, 0]), ([0] * 4, [0] * 4)]
)
def test_nothing_is_measured_where_a_side_is_empty(name: str, current: list[int], reference: list[int]) -> None:
    comparison = compared(name, np.array(current), np.array(reference))
    assert np.isnan(as_floats(comparison)).all()


@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_many_windows_and_features_are_compared_at_once(divergence: Divergence) -> None:
    current = np.array([[[1, 3], [5, 5]], [[3, 1], [0, 9]]])
    reference = np.array([[3, 1], [4, 6]])
    together = divergence(current, reference).value
    assert together.shape == (2, 2)
    assert together[1, 1] == divergence(np.array([0, 9]), np.array([4, 6])).value


@given(PAIRS)
def test_shares_sum_to_one(sides: Counts) -> None:
    assert shares(sides[0], sides.sum(axis=0) > 0, 0.5).sum() == pytest.approx(1)


def test_a_single_bin_in_use_cannot_differ() -> None:
    comparison = psi(np.array([0, 70]), np.array([0, 30]))
    assert as_floats(comparison) == (0, 0, 1)


@given(PAIRS)
def test_one_percent_of_chi_square_lies_beyond_the_noise_floor_of_psi(sides: Counts) -> None:
    freedom = (sides.sum(axis=0) > 0).sum() - 1
    assert stats.chi2.sf(psi(*sides).noise_floor / noise_unit(sides), freedom) == pytest.approx(0.01)


@pytest.mark.parametrize("name", ["psi", "kl_divergence", "js_distance"])
@given(sides=PAIRS)
def test_a_value_is_beyond_its_noise_floor_when_p_is_below_one_percent(name: str, sides: Counts) -> None:
    comparison = compared(name, sides[0], sides[1])
    assert (comparison.value > comparison.noise_floor) == (comparison.p_value < 0.01)


@pytest.mark.parametrize("name", STATISTICS)
@pytest.mark.parametrize(
    "bin_shares",
    [[0.1] * 10, [0.02, 0.001, 0.001, *[0.0978] * 10], [0.6, 0.2, 0.1, 0.05, 0.03, 0.02]],
    ids=["deciles", "deciles and rare bins", "categories"],
)
def test_at_one_percent_at_most_one_and_a_half_percent_are_false_alarms(name: str, bin_shares: list[float]) -> None:
    assert np.mean(p_values_without_drift(name, bin_shares) < 0.01) <= 0.015


# Distances of binned values are a little smaller than their distributions have them: conservative.
@pytest.mark.parametrize("name", [name for name in STATISTICS if name not in {"ks_distance", "wasserstein_distance"}])
def test_p_values_are_near_uniform_when_nothing_drifted(name: str) -> None:
    p_values = p_values_without_drift(name, [0.1] * 10)
    for level in (0.1, 0.25, 0.5, 0.75, 0.9):
        assert np.mean(p_values < level) == pytest.approx(level, abs=0.02)


def test_thirty_missing_of_a_hundred_after_ten_of_a_hundred_is_a_change_of_a_fifth() -> None:
    comparison = share_change(np.array([30, 70]), np.array([10, 90]), MISSING)
    deviation = math.sqrt(0.2 * 0.8 * (1 / 100 + 1 / 100))  # 20 % are missing in both together
    assert comparison.value == pytest.approx(0.2)
    assert comparison.p_value == pytest.approx(2 * stats.norm.sf(0.2 / deviation))
    assert comparison.noise_floor == pytest.approx(stats.norm.isf(0.005) * deviation)


def test_fewer_missing_values_are_a_negative_change() -> None:
    assert share_change(np.array([10, 90]), np.array([30, 70]), MISSING).value == pytest.approx(-0.2)


@given(PAIRS)
def test_the_p_value_of_a_missing_rate_change_is_that_of_the_two_by_two_table(sides: Counts) -> None:
    table = np.stack([sides[:, 0], sides[:, 1:].sum(axis=1)])
    # with fewer expected the exact tail is taken
    assume(stats.contingency.expected_freq(table).min() >= 10 if table.sum(axis=1).all() else False)
    expected = stats.chi2_contingency(table, correction=False).pvalue
    assert share_change(*sides, MISSING).p_value == pytest.approx(expected, rel=1e-6, abs=1e-300)


def test_a_feature_that_is_never_missing_has_no_missing_rate_change() -> None:
    comparison = share_change(np.array([0, 70]), np.array([0, 30]), MISSING)
    assert as_floats(comparison) == (0, 0, 1)


@given(PAIRS)
def test_hellinger_distance_is_that_of_the_affinity(sides: Counts) -> None:
    q, p = smoothed(sides)
    affinity = np.sqrt(p * q).sum()
    assert hellinger_distance(*sides).value == pytest.approx(math.sqrt(max(1 - affinity, 0)), abs=1e-7)


@given(PAIRS)
def test_total_variation_distance_is_the_share_that_one_side_has_more_of(sides: Counts) -> None:
    q, p = sides / sides.sum(axis=1, keepdims=True)
    assert total_variation_distance(*sides).value == pytest.approx(np.maximum(q - p, 0).sum(), abs=1e-12)


@given(PAIRS)
def test_g_is_scipys_where_no_bin_is_rare(sides: Counts) -> None:
    sides = sides[:, sides.sum(axis=0) > 0] + 20
    assume(stats.contingency.expected_freq(sides).min() >= 5)
    expected = stats.chi2_contingency(sides, lambda_="log-likelihood", correction=False)
    comparison = g_statistic(*sides)
    assert comparison.value == pytest.approx(expected.statistic, rel=1e-6, abs=1e-8)
    # Williams' correction makes it a little less significant
    assert comparison.p_value >= expected.pvalue * (1 - 1e-6)


# Whole numbers from 0 to 9, one bin each, and beyond.
ENDS = np.column_stack([np.arange(-0.5, 9.5), np.arange(0.5, 10.5)])
SAMPLES = st.lists(st.integers(-5, 14), min_size=2, max_size=60)


def counted(values: list[int]) -> Counts:
    counts = np.zeros(FIRST_RANGE + 10, dtype=np.int64)
    bin_ids = [BELOW if value < 0 else ABOVE if value > 9 else FIRST_RANGE + value for value in values]
    np.add.at(counts, bin_ids, 1)
    return counts


@given(SAMPLES, SAMPLES)
def test_ks_distance_is_scipys_of_values_that_are_their_bins(current: list[int], reference: list[int]) -> None:
    clipped = [np.clip(values, -1, 10) for values in (current, reference)]
    assert ks_distance(counted(current), counted(reference)).value == pytest.approx(
        stats.ks_2samp(*clipped, method="asymp").statistic
    )


@given(arrays(np.float64, 200, elements=st.floats(0, 1)), arrays(np.float64, 300, elements=st.floats(0, 1)))
def test_the_unbinned_ks_distance_is_within_its_error_bound(current: Floats, reference: Floats) -> None:
    edges = np.linspace(0, 1, 6)
    sides = [np.concatenate([[0, 0, 0], np.histogram(values, edges)[0]]) for values in (current, reference)]
    comparison = ks_distance(*sides)
    unbinned = stats.ks_2samp(current, reference, method="asymp").statistic
    # a value on a border is on the other side of it for scipy
    on_border = max(np.isin(values, edges).mean() for values in (current, reference))
    assert comparison.error_bound is not None
    assert unbinned <= comparison.value + comparison.error_bound + on_border + 1e-12


@given(SAMPLES, SAMPLES.filter(lambda values: len(set(np.clip(values, 0, 9))) > 1))
def test_wasserstein_distance_is_scipys_within_a_bin(current: list[int], reference: list[int]) -> None:
    current_counts, reference_counts = counted(current), counted(reference)
    found = wasserstein_distance(current_counts, reference_counts, ENDS).value
    q, p = (np.clip(values, -0.5, 9.5) for values in (current, reference))
    spread = np.sqrt(np.var(p) + 1 / 12)
    expected = stats.wasserstein_distance(q, p) / spread
    # values lie anywhere in bins one wide, and so does the spread
    assert found == pytest.approx(expected, abs=1.1 / spread)


def test_a_shift_by_one_bin_is_a_wasserstein_distance_of_its_width_in_standard_deviations() -> None:
    reference, current = counted([3] * 100 + [4] * 100), counted([4] * 100 + [5] * 100)
    # spread evenly over two bins of width one: the variance is 4 / 12
    assert wasserstein_distance(current, reference, ENDS).value == pytest.approx(1 / math.sqrt(4 / 12))


@pytest.mark.parametrize(("hits", "reference_hits"), [(3, 0), (0, 4), (2, 1)])
def test_a_rare_share_has_the_exact_tail_given_its_total(hits: int, reference_hits: int) -> None:
    comparison = share_change(np.array([hits, 1000 - hits]), np.array([reference_hits, 3000 - reference_hits]), MISSING)
    tails = stats.binom(hits + reference_hits, 0.25)
    assert comparison.p_value == pytest.approx(min(1, 2 * min(tails.cdf(hits), tails.sf(hits - 1))))


def test_rare_missing_values_raise_no_more_false_alarms_than_the_rate() -> None:
    generator = np.random.default_rng(1)
    current = np.stack([hits := generator.binomial(1000, 0.0005, 20_000), 1000 - hits], axis=-1)
    reference = np.stack([hits := generator.binomial(5000, 0.0005, 20_000), 5000 - hits], axis=-1)
    assert np.mean(share_change(current, reference, MISSING).p_value < 0.01) <= 0.01


def largest_gain(current: Counts, reference: Counts) -> float:
    """A user-defined statistic."""
    return float((current / current.sum() - reference / reference.sum()).max())


def test_a_function_of_two_count_vectors_becomes_a_statistic_with_noise() -> None:
    counts = np.array([[100, 100, 0], [160, 40, 0]])
    sides = Sides(counts, np.array([100, 100, 0]), counts, counts, np.full(1, np.nan), 0.5)
    comparison = resampled(largest_gain)(sides)
    assert comparison.value.tolist() == [0, pytest.approx(0.3)]
    assert (comparison.p_value < 0.01).tolist() == [False, True]
    assert 0.05 < comparison.noise_floor[0] < 0.2


def test_a_statistic_can_be_registered_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("driftlake.maths.drift_statistics.STATISTICS", dict(STATISTICS))
    own = Statistic("largest_gain", resampled(largest_gain), ("categorical",), None, None, "", "", "", "")
    register_statistic(own)
    with pytest.raises(ValueError, match="largest_gain"):
        register_statistic(own)


P_VALUES = arrays(np.float64, st.integers(1, 20), elements=st.floats(0, 1))


@given(P_VALUES)
def test_q_values_are_scipys(p_values: Floats) -> None:
    np.testing.assert_allclose(
        benjamini_hochberg(p_values), stats.false_discovery_control(p_values), rtol=1e-12, atol=1e-300
    )


@given(P_VALUES, st.sets(st.integers(0, 19), min_size=1))
def test_q_values_leave_out_what_was_not_tested(p_values: Floats, untested: set[int]) -> None:
    p_values[[position for position in untested if position < len(p_values)]] = np.nan
    is_tested = ~np.isnan(p_values)
    expected = np.full_like(p_values, np.nan)
    if is_tested.any():
        expected[is_tested] = stats.false_discovery_control(p_values[is_tested])
    np.testing.assert_allclose(benjamini_hochberg(p_values), expected, rtol=1e-12, atol=1e-300)


def test_q_values_of_one_day_ignore_the_other_days() -> None:
    q_values = benjamini_hochberg(np.array([[0.01, 0.04], [0.5, 0.5]]))
    assert q_values.tolist() == [[0.02, 0.04], [0.5, 0.5]]


def test_the_noise_of_a_feature_does_not_depend_on_how_many_bins_another_has() -> None:
    current, reference, ends = (
        np.array([0, 0, 3, 40, 60]),
        np.array([0, 0, 0, 500, 500]),
        ends_of(np.array([0.0, 1, 3])),
    )
    alone = wasserstein_distance(current, reference, ends)
    filled = wasserstein_distance(
        np.pad(current, (0, 97)), np.pad(reference, (0, 97)), np.concatenate([ends, np.full((97, 2), 3.0)])
    )
    assert as_floats(filled) == pytest.approx(as_floats(alone), rel=1e-12)


def test_a_constant_that_moved_is_beyond_the_noise_of_its_distance() -> None:
    value, floor, p_value = as_floats(
        wasserstein_distance(np.array([0, 0, 300, 0]), np.array([0, 0, 0, 2000]), np.array([[6.5, 7.5]]))
    )
    assert value > floor > 0
    assert p_value < 1e-6
