"""The kernel counts every value of every type once, and its pieces add up."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftlake.maths.binning import (
    ABOVE,
    BELOW,
    FIRST_CATEGORY,
    FIRST_RANGE,
    MISSING,
    OTHER,
    UNSEEN,
    FeatureBins,
    learn_category_bins,
    probability_bins,
)
from driftlake.maths.encoding import Column, category_counts, float_values
from driftlake.maths.numeric_bins import learn_numeric_bins
from driftlake.profiles.kernel import (
    LATENCY_WIDTH,
    FeatureAccumulator,
    FeatureCounts,
    Grouping,
    LatencyAccumulator,
    Moments,
    ScoreAccumulator,
    StackedCounts,
    count_column,
)

# One bin per number from 1 to 5: bin_id = value + 2.
ONE_TO_FIVE = learn_numeric_bins("x", np.arange(1.0, 6.0))
MEASURED = learn_numeric_bins("x", np.exp(np.random.default_rng(1).normal(size=1000)))
CODES = learn_category_bins("x", ["1", "2", "7"], np.array([30, 20, 10]))
COLOURS = learn_category_bins("x", ["red", "blue"], np.array([20, 10]))


def bin_counts(column: Column, bins: FeatureBins = ONE_TO_FIVE) -> dict[int, int]:
    """Rows per bin, empty bins left out."""
    [counts] = count_column(column, bins).bins
    return {bin_id: int(counts[bin_id]) for bin_id in np.flatnonzero(counts).tolist()}


def assert_equal_counts(first: FeatureCounts, second: FeatureCounts) -> None:
    np.testing.assert_array_equal(first.bins, second.bins)
    assert moments_of(first.moments) == pytest.approx(moments_of(second.moments), abs=1e-9, nan_ok=True)


def test_null_and_nan_are_missing() -> None:
    assert bin_counts(pa.array([1.0, None, float("nan")])) == {MISSING: 2, 3: 1}


def test_plus_infinity_is_above_the_grid() -> None:
    assert bin_counts(pa.array([1.0, np.inf])) == {ABOVE: 1, 3: 1}


def test_minus_infinity_is_below_the_grid() -> None:
    assert bin_counts(pa.array([1.0, -np.inf])) == {BELOW: 1, 3: 1}


def test_infinities_of_both_signs_are_counted_without_warnings() -> None:
    assert bin_counts(pa.array([np.inf, -np.inf])) == {BELOW: 1, ABOVE: 1}


def test_minus_infinity_is_below_a_logarithmic_grid() -> None:
    assert bin_counts(pa.array([-np.inf]), logarithmic_bins()) == {BELOW: 1}


def test_negative_values_are_below_a_logarithmic_grid() -> None:
    assert bin_counts(pa.array([-1.0]), logarithmic_bins()) == {BELOW: 1}


def logarithmic_bins() -> FeatureBins:
    bins = learn_numeric_bins("x", np.exp(np.random.default_rng(1).normal(0, 3, 10_000)))
    assert bins.grid is not None
    assert bins.grid.transform == "log"
    return bins


def test_the_lower_border_belongs_to_a_bin_and_the_upper_to_the_next() -> None:
    assert bin_counts(pa.array([0.4, 0.5, 1.5, 5.5])) == {BELOW: 1, 3: 1, 4: 1, ABOVE: 1}


def test_certain_scores_are_off_the_logit_grid() -> None:
    assert bin_counts(pa.array([0.0, 1.0]), probability_bins("score")) == {BELOW: 1, ABOVE: 1}


@pytest.mark.parametrize(
    "column",
    [
        pa.array([1, 2, None, 9], pa.int64()),
        pa.array([1, 2, None, 9], pa.uint8()),
        pa.array([1, 2, None, 9], pa.float32()),
        pa.array([Decimal(1), Decimal(2), None, Decimal(9)], pa.decimal128(10, 2)),
        pa.chunked_array([pa.array([1, 2], pa.int32()), pa.array([None, 9], pa.int32())]),
        pa.chunked_array([pa.array([1.0, 2.0]), pa.array([None, 9.0])]),
    ],
    ids=["int64", "uint8", "float32", "decimal", "chunked int32", "chunked double"],
)
def test_a_number_falls_in_the_same_bin_whatever_its_type(column: Column) -> None:
    assert bin_counts(column) == {MISSING: 1, ABOVE: 1, 3: 1, 4: 1}


def test_booleans_are_categories() -> None:
    bins = learn_category_bins("x", ["false", "true"], np.array([9, 5]))
    assert bin_counts(pa.array([True, False, True, None]), bins) == {
        MISSING: 1,
        FIRST_CATEGORY: 1,
        FIRST_CATEGORY + 1: 2,
    }


@pytest.mark.parametrize(
    "column",
    [
        pa.array([1, 2, 7, None], pa.int16()),
        pa.array([1.0, 2.0, 7.0, None]),
        pa.array([1.0, 2.0, 7.0, float("nan")], pa.float32()),
        pa.array(["1", "2", "7", None]),
        pa.chunked_array([pa.array([1.0, 2.0]), pa.array([7.0, None])]),
    ],
    ids=["integers", "floats", "floats with nan", "text", "chunks"],
)
def test_whole_number_categories_keep_their_bins_when_nulls_turn_them_into_floats(column: Column) -> None:
    assert bin_counts(column, CODES) == {MISSING: 1, 3: 1, 4: 1, 5: 1}


@pytest.mark.parametrize(
    "column",
    [
        pa.array(["red", "blue", "red", None]),
        pa.array(["red", "blue", "red", None], pa.large_string()),
        pa.array(["red", "blue", "red", None]).dictionary_encode(),
        pa.DictionaryArray.from_arrays(pa.array([0, 1, 0, 2], pa.int8()), pa.array(["red", "blue", None])),
    ],
    ids=["text", "large text", "dictionary", "null in the dictionary"],
)
def test_text_falls_in_the_same_bin_however_it_is_encoded(column: Column) -> None:
    assert bin_counts(column, COLOURS) == {MISSING: 1, 3: 2, 4: 1}


def test_a_category_missing_in_training_is_unseen() -> None:
    assert bin_counts(pa.array(["green"]), COLOURS) == {UNSEEN: 1}


def test_a_category_too_rare_for_a_bin_is_other() -> None:
    names = [f"c{n:03}" for n in range(101)]
    bins = learn_category_bins("x", names, np.arange(200, 99, -1))
    assert bin_counts(pa.array(["c100"]), bins) == {OTHER: 1}


def test_training_categories_are_counted_over_chunks_without_the_missing() -> None:
    column = pa.chunked_array([pa.array(["a", None, "b"]), pa.array(["b"])])
    assert category_counts(column) == {"a": 1, "b": 2}


@pytest.mark.parametrize("bins", [ONE_TO_FIVE, COLOURS], ids=["numbers", "categories"])
def test_an_empty_column_has_no_counts(bins: FeatureBins) -> None:
    assert count_column(pa.chunked_array([], pa.float64()), bins).bins.sum() == 0


VALUES = st.lists(st.one_of(st.none(), st.floats(-100, 100), st.sampled_from([np.nan, np.inf])), max_size=25)
CATEGORIES = st.lists(st.sampled_from(["red", "blue", "green", None]), max_size=25)


@given(VALUES, VALUES)
def test_profiling_two_parts_and_adding_equals_profiling_the_whole(
    first: list[float | None], second: list[float | None]
) -> None:
    whole = pa.array([*first, *second], pa.float64())
    parts = FeatureCounts.combined(
        [count_column(part, MEASURED) for part in (whole[: len(first)], whole[len(first) :])]
    )
    assert_equal_counts(parts, count_column(whole, MEASURED))


@given(CATEGORIES, CATEGORIES)
def test_categories_of_two_parts_add_up_to_those_of_the_whole(
    first: list[str | None], second: list[str | None]
) -> None:
    whole = pa.array([*first, *second], pa.string())
    parts = FeatureCounts.combined([count_column(part, COLOURS) for part in (whole[: len(first)], whole[len(first) :])])
    assert_equal_counts(parts, count_column(whole, COLOURS))


def test_moments_of_two_parts_are_those_of_the_whole() -> None:
    parts = [Moments.of(np.array(values), np.array([0])) for values in ([1.0, 3.0], [5.0, 11.0])]
    # 1, 3, 5 and 11 are 4, 2, 0 and 6 away from their mean
    assert moments_of(Moments.combined([(np.array([0]), part) for part in parts], 1)) == (
        4,
        5.0,
        16.0 + 4.0 + 36.0,
        1.0,
        11.0,
    )


def test_moments_are_those_of_each_group() -> None:
    moments = Moments.of(np.array([1.0, 3.0, 7.0]), np.array([0, 2]))
    assert moments.mean.tolist() == [2, 7]
    assert moments.squared_deviations.tolist() == [2, 0]


def moments_of(moments: Moments, group: int = 0) -> tuple[float, ...]:
    fields = (moments.count, moments.mean, moments.squared_deviations, moments.minimum, moments.maximum)
    return tuple(values[group].item() for values in fields)


def stats_of(column: Column, bins: FeatureBins) -> dict[str, float]:
    """Statistics of the only group."""
    return {name: values.item() for name, values in count_column(column, bins).stats(bins).items()}


def test_features_that_are_stacked_have_the_statistics_of_each_alone() -> None:
    values = np.random.default_rng(2).lognormal(size=50)
    columns = [(pa.array(values), ONE_TO_FIVE), (pa.array(["red", None]), COLOURS), (pa.array(values), MEASURED)]
    counts = [count_column(column, bins) for column, bins in columns]
    stacked = StackedCounts.of([bins for _, bins in columns], counts).stats()
    for place, (column, bins) in enumerate(columns):
        alone = stats_of(column, bins)
        assert {name: found[place].item() for name, found in stacked.items()} == pytest.approx(alone, nan_ok=True)


def test_many_rows_and_few_are_counted_alike() -> None:
    values = np.random.default_rng(3).lognormal(size=40_000)
    few = [count_column(pa.array(part), MEASURED) for part in np.split(values, 4)]
    assert_equal_counts(count_column(pa.array(values), MEASURED), FeatureCounts.combined(few))


def test_moments_are_numpys() -> None:
    values = np.random.default_rng(1).normal(5, 2, 1000)
    stats = stats_of(pa.array(values), MEASURED)
    assert stats["mean"] == pytest.approx(values.mean())
    assert stats["standard_deviation"] == pytest.approx(values.std())
    assert (stats["minimum"], stats["maximum"]) == (values.min(), values.max())


def test_a_huge_value_in_one_part_does_not_stop_the_sum() -> None:
    parts = FeatureCounts.combined([count_column(pa.array([value]), MEASURED) for value in (1e200, 1.0)])
    assert parts.bins[0, ABOVE] == 1


def test_a_huge_and_a_small_value_are_counted_without_warnings() -> None:
    assert bin_counts(pa.array([1e200, 1.0])) == {ABOVE: 1, 3: 1}


def test_values_off_the_grid_and_missing_ones_leave_the_moments_finite() -> None:
    moments = count_column(pa.array([2.0, 4.0, None, np.inf]), ONE_TO_FIVE).moments
    assert moments_of(moments) == (2, 3.0, 2.0, 2.0, 4.0)


def test_percentiles_of_production_lie_within_their_bin() -> None:
    values = np.random.default_rng(2).permutation(np.repeat(np.arange(1.0, 6.0), 20))
    stats = stats_of(pa.array(values), ONE_TO_FIVE)
    # 20 rows of each number: the median is 3, whose bin is 2.5 to 3.5
    assert stats["p50"] == pytest.approx(3, abs=0.5)
    assert (stats["row_count"], stats["missing_count"]) == (100, 0)


def test_percentiles_are_within_a_bin_of_numpys() -> None:
    values = np.exp(np.random.default_rng(1).normal(size=1000))
    stats = stats_of(pa.array(values), MEASURED)
    for name, expected in zip(("p01", "p25", "p50", "p99"), np.percentile(values, [1, 25, 50, 99]), strict=True):
        nearest = np.abs(MEASURED.borders - expected).argmin()
        width = np.diff(MEASURED.borders)[max(nearest - 1, 0) : nearest + 1].max()
        assert stats[name] == pytest.approx(expected, abs=width)


def test_values_below_the_grid_lie_at_the_minimum() -> None:
    stats = stats_of(pa.array([-100.0] * 50 + [3.0] * 50), ONE_TO_FIVE)
    assert (stats["p01"], stats["p25"]) == (-100, -100)


def test_values_above_the_grid_lie_at_the_maximum() -> None:
    stats = stats_of(pa.array([3.0] * 50 + [100.0] * 50), ONE_TO_FIVE)
    assert (stats["p75"], stats["p99"]) == (100, 100)


def test_a_feature_that_is_always_missing_has_no_moments() -> None:
    stats = stats_of(pa.array([None, None], pa.float64()), ONE_TO_FIVE)
    assert stats["missing_count"] == 2
    assert np.isnan([stats["mean"], stats["p50"]]).all()


def score_counts(scores: list[float], bins: FeatureBins | None) -> tuple[dict[int, int], dict[int, float]]:
    """Rows and sum of scores per bin that has rows."""
    accumulator = ScoreAccumulator(bins, [1])
    accumulator.add_values(np.array(scores), [Grouping.single(len(scores))])
    [counts] = accumulator.counts()
    present = np.flatnonzero(counts.rows[0]).tolist()
    return {i: int(counts.rows[0, i]) for i in present}, {i: float(counts.sums[0, i]) for i in present}


def test_a_missing_score_counts_but_adds_nothing_to_the_sum() -> None:
    # the logit of 0.6 is 0.405, the middle of 400 cells 0 and a cell 0.05 wide
    assert score_counts([0.6, np.nan], probability_bins("score")) == (
        {MISSING: 1, FIRST_RANGE + 208: 1},
        {MISSING: 0.0, FIRST_RANGE + 208: 0.6},
    )


@pytest.mark.parametrize("score", [0.5, np.inf, -np.inf])
def test_a_score_without_bins_counts_as_missing(score: float) -> None:
    assert score_counts([score], None)[0] == {MISSING: 1}


def latency_bins(latencies: list[float]) -> list[tuple[float, int]]:
    """Lower border in ms and rows of each bin."""
    accumulator = LatencyAccumulator(1)
    accumulator.add_values(np.array(latencies), [Grouping.single(len(latencies))])
    [counts] = accumulator.counts()
    columns = counts.columns()
    return list(zip(columns["lower_ms"], columns["row_count"], strict=True))


@given(st.floats(0.01, 1e9))
def test_a_latency_lies_in_a_bin_of_one_per_cent(latency: float) -> None:
    [(lower, _)] = latency_bins([latency])
    assert lower * (1 - 1e-9) <= latency < lower * LATENCY_WIDTH * (1 + 1e-9)


def test_latencies_that_are_missing_or_negative_are_left_out() -> None:
    assert latency_bins([np.nan, np.inf, -1.0]) == []


def test_a_latency_of_zero_is_in_the_lowest_bin() -> None:
    assert latency_bins([0.0, 0.001]) == [(pytest.approx(0.001, rel=0.01), 2)]


ROWS_OF_GROUPS = st.lists(st.tuples(st.integers(-1, 11), st.one_of(st.none(), st.floats(width=32))), max_size=60)


@pytest.mark.parametrize("group_count", [3, 12], ids=["few groups", "many groups"])
@given(rows=ROWS_OF_GROUPS)
def test_groups_counted_together_are_the_groups_counted_apart(
    group_count: int, rows: list[tuple[int, float | None]]
) -> None:
    codes = np.array([min(code, group_count - 1) for code, _ in rows], dtype=np.int64)
    column = pa.array([value for _, value in rows], pa.float64())
    accumulator = FeatureAccumulator(MEASURED, [group_count])
    accumulator.add_values(float_values(column), [Grouping.of(codes)])
    [together] = accumulator.counts()
    for group in range(group_count):
        apart = count_column(column.filter(pa.array(codes == group)), MEASURED)
        np.testing.assert_array_equal(together.bins[group], apart.bins[0])
        assert moments_of(together.moments, group) == pytest.approx(moments_of(apart.moments), nan_ok=True)


@given(st.lists(st.floats(allow_infinity=False, width=32), max_size=30))
def test_every_row_is_in_exactly_one_bin(values: list[float]) -> None:
    assert count_column(pa.array(values, pa.float64()), MEASURED).bins.sum() == len(values)


def test_range_bins_start_after_missing_below_and_above() -> None:
    assert ONE_TO_FIVE.bin_kinds[:FIRST_RANGE] == ("missing", "below", "above")
