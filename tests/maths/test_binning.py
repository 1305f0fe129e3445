"""Bins learned from training data hold all of it, keep heavy values apart and survive storage."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from data import MODEL, write_project
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import stats

from driftlake.lake.warehouse import Warehouse
from driftlake.lineage.lineage_files import read_lineage_folder
from driftlake.maths.binning import (
    ABOVE,
    BELOW,
    FIRST_CATEGORY,
    FIRST_RANGE,
    MAX_COARSE_BINS,
    OTHER,
    UNSEEN,
    Counts,
    FeatureBins,
    Floats,
    learn_category_bins,
    merge_evenly,
    probability_bins,
    with_coarse_bins,
    with_expected_unseen,
)
from driftlake.maths.divergence import ks_distance
from driftlake.maths.numeric_bins import LARGEST_SHARE, MAX_BINS, learn_numeric_bins
from driftlake.profiles.kernel import PERCENTILES, count_column
from driftlake.training.registration import register


def cut_off(quantiles: tuple[float, float]) -> Callable[[Floats], Floats]:
    """Put all values above one quantile at another."""
    return lambda values: np.where(
        values > np.quantile(values, quantiles[0]), np.quantile(values, quantiles[1]), values
    )


# Thousandths and their squares and cubes: skewed, with gaps and both signs, and far enough apart for rounding.
THOUSANDTHS = st.integers(-(10**6), 10**6).map(lambda n: n / 1000)
SAMPLES = st.tuples(st.lists(THOUSANDTHS, min_size=1, max_size=50), st.integers(1, 3)).map(
    lambda drawn: np.array(drawn[0]) ** drawn[1]
)

ROWS = 2_000
SHAPES: dict[str, Callable[[np.random.Generator], Floats]] = {
    "ages": lambda g: np.minimum(g.gamma(3, 13, ROWS).astype(int), 94).astype(float),
    "standardised ages": lambda g: (np.minimum(g.gamma(3, 13, ROWS).astype(int), 94) - 38.2) / 22.7,
    "shares": lambda g: np.round(g.beta(2, 5, ROWS), 2),
    "cents": lambda g: np.round(np.exp(g.normal(4, 1.5, ROWS)), 2),
    "cents in float32": lambda g: np.round(g.gamma(2, 30, ROWS), 2).astype(np.float32).astype(float),
    "prices and cents": lambda g: np.where(
        g.random(ROWS) < 0.3, g.choice([9.99, 19.99, 100.0], ROWS), np.round(np.exp(g.normal(4, 2, ROWS)), 2)
    ),
    "ties and continuous": lambda g: np.where(g.random(ROWS) < 0.6, 0.0, np.exp(g.normal(3, 1, ROWS))),
    "few distinct": lambda g: g.choice([0.1, 0.37, 3.14, 100.0], ROWS),
    "normal": lambda g: g.normal(size=ROWS),
    "normal in float32": lambda g: g.normal(size=ROWS).astype(np.float32).astype(float),
    "log-normal": lambda g: np.exp(g.normal(0, 3, ROWS)),
    "heavy tails": lambda g: g.standard_cauchy(ROWS) * 1000,
    "far sentinel": lambda g: np.where(g.random(ROWS) < 0.1, -1.0, 1.7e9 + g.normal(0, 1e6, ROWS)),
    "two units": lambda g: (1.7e9 + g.normal(0, 1e6, ROWS)) * g.choice([1.0, 1000.0], ROWS),
}
# The step of those that lie on a lattice with fewer values than there are bins.
LATTICES = {"ages": 1.0, "standardised ages": 1 / 22.7, "shares": 0.01}
SHIFTS = st.one_of(
    st.tuples(st.floats(0, 1), st.floats(0, 1)).map(cut_off),
    st.floats(-1, 1).map(lambda part: lambda values: values + part * np.std(values)),
    st.floats(0.5, 2).map(lambda factor: lambda values: values * factor),
    st.floats(0.1, 1).map(lambda share: lambda values: np.sort(values)[: int(share * len(values))]),
)

SCORE_BINS = probability_bins("score")


def counted(bins: FeatureBins, values: Floats) -> Counts:
    """Counts per range bin; values off the grid are left out."""
    assert bins.grid is not None
    return bins.bin_counts(bins.grid.count(values))


def holder(bins: FeatureBins, value: float) -> int:
    """Range bin of a value."""
    return int(np.flatnonzero(counted(bins, np.array([value])))[0])


def assert_same(first: FeatureBins, second: FeatureBins) -> None:
    assert (first.feature, first.kind, first.grid) == (second.feature, second.kind, second.grid)
    assert (first.bin_kinds, first.labels, first.categories) == (second.bin_kinds, second.labels, second.categories)
    np.testing.assert_array_equal(first.coarse_ids, second.coarse_ids)
    if first.grid is not None:
        np.testing.assert_array_equal(first.first_cells, second.first_cells)
        np.testing.assert_array_equal(first.ends, second.ends)


def lognormal(count: int = 10_000) -> Floats:
    return np.exp(np.random.default_rng(1).normal(0, 3, count))


def cauchy(count: int = 10_000) -> Floats:
    return np.random.default_rng(2).standard_cauchy(count) * 1000


@given(SAMPLES)
def test_every_training_value_falls_in_a_range_bin(values: Floats) -> None:
    assert counted(learn_numeric_bins("x", values), values).sum() == len(values)


@given(st.lists(st.integers(-(10**12), 10**12), min_size=1, max_size=50))
def test_every_whole_training_value_falls_in_a_range_bin(numbers: list[int]) -> None:
    values = np.array(numbers, dtype=float)
    assert counted(learn_numeric_bins("x", values), values).sum() == len(values)


def test_two_training_values_that_differ_by_rounding_fall_in_range_bins() -> None:
    values = np.array([0.3, 0.1 + 0.2])
    assert counted(learn_numeric_bins("x", values), values).sum() == 2


@pytest.mark.parametrize("sentinel", [np.finfo(float).max, -np.finfo(float).max])
def test_the_largest_double_as_a_sentinel_leaves_the_other_training_values_their_bins(sentinel: float) -> None:
    bins = learn_numeric_bins("x", np.array([1.0, 2.0, 3.0, sentinel]))
    assert counted(bins, np.array([1.0, 2.0, 3.0])).sum() == 3


def test_a_constant_has_one_range_bin() -> None:
    bins = learn_numeric_bins("x", np.full(10, 7.0))
    assert counted(bins, np.array([7.0])).tolist() == [1]


@given(SAMPLES)
def test_there_are_at_most_120_range_bins(values: Floats) -> None:
    bins = learn_numeric_bins("x", np.repeat(values, 20))
    assert bins.bin_count - FIRST_RANGE <= MAX_BINS


def test_continuous_training_values_lie_in_a_hundred_bins_of_at_most_a_percentile() -> None:
    values = np.random.default_rng(3).normal(size=100_000)
    counts = counted(learn_numeric_bins("x", values), values)
    assert 100 <= len(counts) <= 105
    assert counts.max() <= 1_000


@given(st.sets(st.integers(0, 999), min_size=1, max_size=20))
def test_a_whole_number_with_over_one_percent_of_the_rows_is_alone_in_its_bin(heavy: set[int]) -> None:
    # ten rows of each number, 120 more of the heavy ones: at least 130 of 12,400
    values = np.concatenate([np.arange(1000.0).repeat(10), np.array(sorted(heavy), dtype=float).repeat(120)])
    bins = learn_numeric_bins("x", values)
    assert {int(counted(bins, values)[holder(bins, value)]) for value in heavy} == {130}


def test_fifty_heavy_values_with_gaps_between_them_are_alone_in_their_bins() -> None:
    # 0, 2, 4 ... 98 hold 1.99 % each, one row lies far off
    values = np.array([*range(0, 100, 2), 4000], dtype=float).repeat([100] * 50 + [1])
    bins = learn_numeric_bins("x", values)
    assert np.count_nonzero(counted(bins, values)) == 51


@given(st.sampled_from(list(SHAPES)), st.integers(0, 2**32 - 1), SHIFTS)
@settings(max_examples=150)
def test_the_ks_distance_of_any_shift_is_within_a_percentile_or_the_heaviest_value_of_the_unbinned(
    shape: str, seed: int, shift: Callable[[Floats], Floats]
) -> None:
    training = SHAPES[shape](np.random.default_rng(seed))
    production = shift(SHAPES[shape](np.random.default_rng(seed + 1)))
    bins = learn_numeric_bins("x", training)
    sides = [np.bincount(bins.bin_ids(values), minlength=bins.bin_count) for values in (production, training)]
    found = ks_distance(*sides)
    unbinned = stats.ks_2samp(production, training, method="asymp").statistic
    heaviest = np.unique(training, return_counts=True)[1].max() / len(training)
    assert found.error_bound is not None
    # a bin of a heavy value may hold a tenth of a percentile of others
    assert found.error_bound <= max(LARGEST_SHARE, heaviest) + LARGEST_SHARE / 10 + 1e-12
    assert found.value - 1e-12 <= unbinned <= found.value + found.error_bound + 1e-12


@given(st.sampled_from(list(LATTICES)), st.integers(0, 2**32 - 1), st.integers(-3, 3))
@example("shares", 3650, 1)  # training has no value between 0.71 and 0.75, and the 99th percentile is 0.73
def test_percentiles_of_values_on_a_lattice_are_within_a_step_of_numpys_or_a_gap_in_training(
    shape: str, seed: int, moved: int
) -> None:
    step = LATTICES[shape]
    training, production = (SHAPES[shape](np.random.default_rng(seed + side)) for side in (0, 1))
    # moved by whole steps, inside the training range
    production = np.clip(production + moved * step, training.min(), training.max())
    bins = learn_numeric_bins("x", training)
    found = count_column(pa.array(production), bins).stats(bins)
    expected = np.percentile(production, PERCENTILES, method="inverted_cdf")
    values = np.unique(training)
    above = np.minimum(np.searchsorted(values, expected), len(values) - 1)
    gaps = values[above] - values[np.maximum(above - 1, 0)]
    errors = np.abs(np.array([found[f"p{q:02d}"][0] for q in PERCENTILES]) - expected)
    assert (errors <= np.maximum(gaps, step) * 1.001).all()


@pytest.mark.parametrize("moved_to", [71.0, 80.0])
def test_ages_stored_as_floats_that_are_cut_off_have_the_ks_distance_of_the_unbinned(moved_to: float) -> None:
    ages = SHAPES["ages"](np.random.default_rng(1))
    cut_off = np.where(ages > 70, moved_to, ages)
    bins = learn_numeric_bins("age", ages)
    sides = [np.bincount(bins.bin_ids(values), minlength=bins.bin_count) for values in (cut_off, ages)]
    assert ks_distance(*sides).value == pytest.approx(stats.ks_2samp(cut_off, ages).statistic, abs=1e-12)


@pytest.mark.parametrize("dtype", [np.int64, np.float32])
def test_the_type_that_whole_numbers_are_stored_in_changes_no_bin(dtype: type) -> None:
    ages = SHAPES["ages"](np.random.default_rng(1))
    assert_same(learn_numeric_bins("x", ages.astype(dtype).astype(float)), learn_numeric_bins("x", ages))


@pytest.mark.parametrize("shape", ["ages", "few distinct", "ties and continuous", "shares"])
def test_no_bin_is_spent_on_a_gap(shape: str) -> None:
    training = SHAPES[shape](np.random.default_rng(2))
    assert counted(learn_numeric_bins("x", training), training).min() > 0


def test_few_distinct_numbers_blurred_by_less_than_their_gaps_stay_in_their_bins() -> None:
    training = np.repeat([10.0, 20.0, 35.0, 50.0], 100)
    blurred = training + np.random.default_rng(1).uniform(-4.9, 4.9, 400)
    bins = learn_numeric_bins("x", training)
    np.testing.assert_array_equal(bins.bin_ids(blurred), bins.bin_ids(training))


def test_a_year_after_the_last_one_is_inside_the_training_range_and_the_next_is_not() -> None:
    bins = learn_numeric_bins("x", np.repeat(np.arange(1990.0, 2013.0), 10))
    above = bins.bin_count - 1
    assert bins.bin_ids(np.array([2013.0, 2014.0, 1989.0, 1988.0])).tolist() == [above, ABOVE, FIRST_RANGE, BELOW]


@pytest.mark.parametrize("lowest", [0.0, 1.0])
def test_a_step_to_zero_or_below_is_outside_the_training_range(lowest: float) -> None:
    bins = learn_numeric_bins("x", np.arange(lowest, 95.0))
    assert bins.bin_ids(np.array([lowest - 1])).tolist() == [BELOW]


@pytest.mark.parametrize("lowest", [0.0, 100.0])
def test_minus_one_is_below_few_distinct_numbers_that_are_not_negative(lowest: float) -> None:
    assert learn_numeric_bins("x", np.array([lowest, 200.0, 700.0])).bin_ids(np.array([-1.0])).tolist() == [BELOW]


@pytest.mark.parametrize("shape", ["cents", "normal", "shares", "ties and continuous"])
def test_training_values_rounded_to_single_precision_stay_in_the_training_range(shape: str) -> None:
    training = SHAPES[shape](np.random.default_rng(3))
    ids = learn_numeric_bins("x", training).bin_ids(training.astype(np.float32).astype(float))
    assert ids.min() >= FIRST_RANGE


def test_a_narrow_bulk_far_from_a_sentinel_has_bins_of_a_percentile() -> None:
    generator = np.random.default_rng(4)
    seconds = 1.7e9 + generator.normal(0, 1e6, 9_000)
    training = np.concatenate([seconds, np.full(1_000, -1.0)])
    bins = learn_numeric_bins("x", training)
    assert counted(bins, seconds).max() <= 100
    assert counted(bins, np.full(1_000, -1.0)).tolist()[0] == 1_000


def test_whole_numbers_have_their_borders_half_way() -> None:
    bins = learn_numeric_bins("x", np.array([3.0, 4.0, 5.0]))
    assert bins.borders.tolist() == [2.5, 3.5, 4.5, 5.5]


def test_the_grid_is_linear_where_that_spreads_the_training_data() -> None:
    assert grid_transform(np.random.default_rng(4).random(1000)) == "linear"


def test_the_grid_is_logarithmic_for_orders_of_magnitude() -> None:
    assert grid_transform(lognormal()) == "log"


def test_the_grid_is_asinh_for_orders_of_magnitude_on_both_sides_of_zero() -> None:
    assert grid_transform(cauchy()) == "asinh"


def grid_transform(values: Floats) -> str | None:
    grid = learn_numeric_bins("x", values).grid
    return grid.transform if grid else None


@given(SAMPLES)
def test_there_are_at_most_ten_coarse_bins_in_order(values: Floats) -> None:
    coarse = learn_numeric_bins("x", values).coarse_ids[FIRST_RANGE:]
    assert len(set(coarse)) <= MAX_COARSE_BINS
    assert (np.diff(coarse) >= 0).all()


def test_coarse_bins_follow_the_training_deciles() -> None:
    values = lognormal()
    bins = learn_numeric_bins("x", values)
    coarse = np.bincount(bins.coarse_ids[FIRST_RANGE:], weights=counted(bins, values))[FIRST_RANGE:]
    np.testing.assert_allclose(coarse, 1000, atol=100)


def test_missing_below_and_above_stay_coarse_bins_of_their_own() -> None:
    bins = learn_numeric_bins("x", lognormal())
    assert bins.coarse_ids[:FIRST_RANGE].tolist() == [0, 1, 2]


def test_merging_puts_each_border_nearest_to_its_quantile() -> None:
    # halves of 100: after the second cell lie 45 %, after the third 60 %
    assert merge_evenly(np.array([20, 25, 15, 40]), 2, 1.0).tolist() == [0, 2]


def test_merging_leaves_a_heavy_cell_alone() -> None:
    assert merge_evenly(np.array([10, 10, 60, 10, 10]), 3, 0.5).tolist() == [0, 2, 3]


def test_score_bins_have_equal_widths_in_log_odds() -> None:
    log_odds = np.log(SCORE_BINS.borders / (1 - SCORE_BINS.borders))
    np.testing.assert_allclose(np.diff(log_odds), 20 / len(log_odds[1:]), atol=1e-9)


def test_score_bins_are_symmetric_about_one_half() -> None:
    borders = SCORE_BINS.borders
    np.testing.assert_allclose(borders, 1 - borders[::-1], atol=1e-15)


def test_certain_scores_are_below_and_above_the_grid() -> None:
    assert counted(SCORE_BINS, np.array([0.0, 1.0])).sum() == 0


def test_categories_are_ranked_by_rows_then_name() -> None:
    bins = learn_category_bins("x", ["rare", "b", "a"], np.array([1, 5, 5]))
    assert bins.labels[FIRST_CATEGORY:] == ("a", "b", "rare")


def test_categories_after_the_hundredth_are_other() -> None:
    names = [f"c{n:03}" for n in range(101)]
    bins = learn_category_bins("x", names, np.arange(200, 99, -1))
    assert bins.bin_count == FIRST_CATEGORY + 100
    assert bins.categories is not None
    assert (bins.categories["c099"], bins.categories["c100"]) == (FIRST_CATEGORY + 99, OTHER)


def test_a_rare_category_joins_other_when_coarse() -> None:
    bins = learn_category_bins("x", ["often", "rare"], np.array([995, 5]))
    assert bins.coarse_ids.tolist() == [0, 1, 2, 3, OTHER]


@pytest.mark.parametrize(
    "bins",
    [
        learn_numeric_bins("x", np.random.default_rng(4).random(1000)),
        learn_numeric_bins("x", lognormal(1000)),
        learn_numeric_bins("x", cauchy(1000)),
        learn_numeric_bins("x", np.arange(30.0)),
        learn_numeric_bins("x", SHAPES["two units"](np.random.default_rng(1))),
        with_coarse_bins(SCORE_BINS, np.arange(SCORE_BINS.bin_count)),
        learn_category_bins("x", [f"c{n}" for n in range(120)], np.arange(120, 0, -1)),
    ],
    ids=["linear", "log", "asinh", "whole", "borders", "probability", "categories"],
)
def test_stored_bins_come_back_the_same(memory: Warehouse, bins: FeatureBins) -> None:
    owner = {name: [value] * bins.bin_count for name, value in MODEL.items()}
    memory.insert("feature_bins", pa.table(owner | bins.columns()))
    stored = memory.sql("select * from feature_bins order by bin_id").to_pydict()
    assert_same(FeatureBins.from_columns(stored, bins.categories or {}), bins)


def test_stored_ranges_follow_each_other_without_a_gap() -> None:
    columns = learn_numeric_bins("x", lognormal()).columns()
    lower, upper, first, last = (columns[name][FIRST_RANGE:] for name in ("lower", "upper", "cell_first", "cell_last"))
    assert lower[1:] == upper[:-1]
    assert first[1:] == [cell + 1 for cell in last[:-1]]


@pytest.mark.parametrize("codes", [[*range(20)], [*range(20), None]], ids=["complete", "with a missing row"])
def test_twenty_whole_numbers_are_codes(memory: Warehouse, tmp_path: Path, codes: list[int | None]) -> None:
    assert learned_kind(memory, tmp_path / "project", codes) == "categorical"


def test_twenty_one_whole_numbers_are_quantities(memory: Warehouse, tmp_path: Path) -> None:
    assert learned_kind(memory, tmp_path / "project", [*range(21)]) == "numeric"


def learned_kind(memory: Warehouse, root: Path, codes: list[int | None]) -> str:
    """Kind of the only feature of a version that is registered with `codes` as training data."""
    training = {"code": pa.array(codes, pa.int64()), "score": pa.array([0.5] * len(codes))}
    settings = write_project(root, features=["code"], training=training)
    register(memory, settings, read_lineage_folder(settings))
    [kind] = memory.sql("select distinct feature_kind from feature_bins where feature = 'code'").column(0).to_pylist()
    return str(kind)


@given(SAMPLES)
def test_a_lower_limit_is_kept_and_holds_all_training_values(values: Floats) -> None:
    bins = learn_numeric_bins("x", values, bin_limit=20)
    assert bins.bin_kinds.count("range") <= 20
    assert counted(bins, values).sum() == len(values)


def test_categories_after_a_lower_limit_are_other() -> None:
    names = [f"{number:03}" for number in range(30)]
    bins = learn_category_bins("x", names, np.full(30, 10), bin_limit=12)
    assert bins.labels[FIRST_CATEGORY:] == tuple(names[:12])
    assert bins.bins_of_categories(names).tolist().count(OTHER) == 18


@pytest.mark.parametrize("category_count", [100, 3_000])
def test_training_counts_expect_as_many_unseen_rows_as_other_rows_have(category_count: int) -> None:
    generator = np.random.default_rng(4)
    shares = 1 / np.arange(1, category_count + 1)
    expected, found = [], []
    for _ in range(30):
        trained, other = generator.multinomial(500, shares / shares.sum(), 2)
        counts = np.zeros((1, FIRST_CATEGORY + category_count), dtype=np.int64)
        counts[0, FIRST_CATEGORY:] = trained
        singles = (FIRST_CATEGORY + np.flatnonzero(trained == 1)).tolist()
        with_unseen = with_expected_unseen(counts, singles)
        assert with_unseen.sum() == 500
        assert with_unseen.min() >= 0
        expected.append(with_unseen[0, UNSEEN])
        found.append(other[trained == 0].sum())
    assert np.mean(expected) == pytest.approx(np.mean(found), rel=0.1)


def test_with_few_single_categories_no_unseen_rows_are_expected() -> None:
    counts = np.array([[0, 0, 0, 500, 1]])
    assert with_expected_unseen(counts, [4]) is counts
