"""Bins learned from training data hold all of it, keep heavy values apart and survive storage."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from data import MODEL, write_project
from hypothesis import given
from hypothesis import strategies as st

from driftlake.lake.warehouse import Warehouse
from driftlake.lineage.lineage_files import read_lineage_folder
from driftlake.maths.binning import (
    FIRST_CATEGORY,
    FIRST_RANGE,
    MAX_BINS,
    MAX_COARSE_BINS,
    OTHER,
    Counts,
    FeatureBins,
    Floats,
    learn_category_bins,
    learn_numeric_bins,
    merge_evenly,
    probability_bins,
    with_coarse_bins,
)
from driftlake.training.registration import register

# Thousandths and their squares and cubes: skewed, with gaps, either sign, and never nearer than rounding can tell.
THOUSANDTHS = st.integers(-(10**6), 10**6).map(lambda n: n / 1000)
SAMPLES = st.tuples(st.lists(THOUSANDTHS, min_size=1, max_size=50), st.integers(1, 3)).map(
    lambda drawn: np.array(drawn[0]) ** drawn[1]
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


def lognormal(count: int = 10_000) -> Floats:
    return np.exp(np.random.default_rng(1).normal(0, 3, count))


def cauchy(count: int = 10_000) -> Floats:
    return np.random.default_rng(2).standard_cauchy(count) * 1000


@given(SAMPLES)
def test_every_training_value_falls_in_a_range_bin(values: Floats) -> None:
    assert counted(learn_numeric_bins("x", values, is_integer=False), values).sum() == len(values)


@given(st.lists(st.integers(-(10**12), 10**12), min_size=1, max_size=50))
def test_every_whole_training_value_falls_in_a_range_bin(numbers: list[int]) -> None:
    values = np.array(numbers, dtype=float)
    assert counted(learn_numeric_bins("x", values, is_integer=True), values).sum() == len(values)


def test_two_training_values_that_differ_by_rounding_fall_in_range_bins() -> None:
    values = np.array([0.3, 0.1 + 0.2])
    assert counted(learn_numeric_bins("x", values, is_integer=False), values).sum() == 2


@pytest.mark.parametrize("sentinel", [np.finfo(float).max, -np.finfo(float).max])
def test_the_largest_double_as_a_sentinel_leaves_the_other_training_values_their_bins(sentinel: float) -> None:
    bins = learn_numeric_bins("x", np.array([1.0, 2.0, 3.0, sentinel]), is_integer=False)
    assert counted(bins, np.array([1.0, 2.0, 3.0])).sum() == 3


def test_a_constant_has_one_range_bin() -> None:
    bins = learn_numeric_bins("x", np.full(10, 7.0), is_integer=False)
    assert counted(bins, np.array([7.0])).tolist() == [1]


@given(SAMPLES)
def test_there_are_at_most_99_range_bins(values: Floats) -> None:
    bins = learn_numeric_bins("x", np.repeat(values, 20), is_integer=False)
    assert bins.bin_count - FIRST_RANGE <= MAX_BINS


def test_continuous_training_values_spread_evenly_over_99_bins() -> None:
    values = np.random.default_rng(3).normal(size=100_000)
    counts = counted(learn_numeric_bins("x", values, is_integer=False), values)
    assert len(counts) == 99
    assert counts.max() < 2 * 100_000 / 99


@given(st.sets(st.integers(0, 999), min_size=1, max_size=20))
def test_a_whole_number_with_over_one_percent_of_the_rows_is_alone_in_its_bin(heavy: set[int]) -> None:
    # ten rows of each number, 120 more of the heavy ones: at least 130 of 12,400
    values = np.concatenate([np.arange(1000.0).repeat(10), np.array(sorted(heavy), dtype=float).repeat(120)])
    bins = learn_numeric_bins("x", values, is_integer=True)
    assert {int(counted(bins, values)[holder(bins, value)]) for value in heavy} == {130}


def test_fifty_heavy_values_with_gaps_between_them_are_alone_in_their_bins() -> None:
    # 0, 2, 4 ... 98 hold 1.99 % each, one row lies far off
    values = np.array([*range(0, 100, 2), 4000], dtype=float).repeat([100] * 50 + [1])
    bins = learn_numeric_bins("x", values, is_integer=True)
    assert np.count_nonzero(counted(bins, values)) == 51


def test_whole_numbers_have_their_borders_half_way() -> None:
    bins = learn_numeric_bins("x", np.array([3.0, 4.0, 5.0]), is_integer=True)
    assert bins.borders.tolist() == [2.5, 3.5, 4.5, 5.5]


def test_the_grid_is_linear_where_that_spreads_the_training_data() -> None:
    assert grid_transform(np.random.default_rng(4).random(1000)) == "linear"


def test_the_grid_is_logarithmic_for_orders_of_magnitude() -> None:
    assert grid_transform(lognormal()) == "log"


def test_the_grid_is_asinh_for_orders_of_magnitude_on_both_sides_of_zero() -> None:
    assert grid_transform(cauchy()) == "asinh"


def grid_transform(values: Floats) -> str | None:
    grid = learn_numeric_bins("x", values, is_integer=False).grid
    return grid.transform if grid else None


@given(SAMPLES)
def test_there_are_at_most_ten_coarse_bins_in_order(values: Floats) -> None:
    coarse = learn_numeric_bins("x", values, is_integer=False).coarse_ids[FIRST_RANGE:]
    assert len(set(coarse)) <= MAX_COARSE_BINS
    assert (np.diff(coarse) >= 0).all()


def test_coarse_bins_follow_the_training_deciles() -> None:
    values = lognormal()
    bins = learn_numeric_bins("x", values, is_integer=False)
    coarse = np.bincount(bins.coarse_ids[FIRST_RANGE:], weights=counted(bins, values))[FIRST_RANGE:]
    np.testing.assert_allclose(coarse, 1000, atol=100)


def test_missing_below_and_above_stay_coarse_bins_of_their_own() -> None:
    bins = learn_numeric_bins("x", lognormal(), is_integer=False)
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
        learn_numeric_bins("x", np.random.default_rng(4).random(1000), is_integer=False),
        learn_numeric_bins("x", lognormal(1000), is_integer=False),
        learn_numeric_bins("x", cauchy(1000), is_integer=False),
        learn_numeric_bins("x", np.arange(30.0), is_integer=True),
        with_coarse_bins(SCORE_BINS, np.arange(SCORE_BINS.bin_count)),
        learn_category_bins("x", [f"c{n}" for n in range(120)], np.arange(120, 0, -1)),
    ],
    ids=["linear", "log", "asinh", "whole", "probability", "categories"],
)
def test_stored_bins_come_back_the_same(memory: Warehouse, bins: FeatureBins) -> None:
    rows = [MODEL | row for row in bins.rows()]
    names = {name for row in rows for name in row}
    memory._insert("feature_bins", pa.table({name: [row.get(name) for row in rows] for name in names}))
    stored = memory.sql("select * from feature_bins order by random()").to_pylist()
    assert_same(FeatureBins.from_rows(stored, bins.categories or {}), bins)


def test_stored_ranges_follow_each_other_without_a_gap() -> None:
    rows = learn_numeric_bins("x", lognormal(), is_integer=False).rows()[FIRST_RANGE:]
    assert [row["lower"] for row in rows[1:]] == [row["upper"] for row in rows[:-1]]
    assert [row["cell_first"] for row in rows[1:]] == [row["cell_last"] + 1 for row in rows[:-1]]


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
    bins = learn_numeric_bins("x", values, is_integer=False, bin_limit=20)
    assert bins.bin_kinds.count("range") <= 20
    assert counted(bins, values).sum() == len(values)


def test_categories_after_a_lower_limit_are_other() -> None:
    names = [f"{number:03}" for number in range(30)]
    bins = learn_category_bins("x", names, np.full(30, 10), bin_limit=12)
    assert bins.labels[FIRST_CATEGORY:] == tuple(names[:12])
    assert bins.bins_of_categories(names).tolist().count(OTHER) == 18
