"""The AUC from binned scores, its binning bounds, and its interval."""

from __future__ import annotations

from dataclasses import astuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special
from sklearn.metrics import roc_auc_score  # type: ignore[import-untyped]  # it has no stubs

from driftlake.maths.binning import FIRST_RANGE, probability_bins
from driftlake.maths.ranking import Counts, Floats, auc

# Positives and negatives per bin, both classes present.
COUNTS = (
    st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), min_size=1, max_size=8)
    .map(lambda pairs: np.array(pairs, dtype=np.int64).T)
    .filter(lambda counts: bool(counts.sum(axis=1).all()))
)
SCORED_LABELS = st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=2, max_size=40).filter(
    lambda rows: len({label for _, label in rows}) == 2
)


def structural_components(positives: Counts, negatives: Counts) -> tuple[Floats, Floats]:
    """The share of the other class that each label is ranked correctly against (DeLong 1988), pair by pair."""
    ranks = range(len(positives))
    high = [bin_ for bin_ in ranks for _ in range(positives[bin_])]
    low = [bin_ for bin_ in ranks for _ in range(negatives[bin_])]
    pairs = np.array([[1.0 if x > y else 0.5 if x == y else 0.0 for y in low] for x in high])
    return pairs.mean(axis=1), pairs.mean(axis=0)


def test_ties_count_half() -> None:
    # the positive of bin 1 beats one negative and ties with one (3/4), that of bin 2 beats both (1)
    assert auc(np.array([0, 1, 1]), np.array([1, 1, 0])).value == 7 / 8


@given(COUNTS)
def test_auc_is_scikit_learns_with_the_bin_as_score(counts: Counts) -> None:
    bins = np.arange(counts.shape[1])
    expected = roc_auc_score(
        np.repeat([1, 0], len(bins)), np.concatenate([bins, bins]), sample_weight=np.concatenate(list(counts))
    )
    assert auc(*counts).value == pytest.approx(expected, abs=1e-12)


@given(SCORED_LABELS, st.integers(1, 10))
def test_the_auc_of_the_unbinned_scores_lies_within_the_binning_bounds(
    rows: list[tuple[float, bool]], bin_count: int
) -> None:
    scores, labels = np.array([score for score, _ in rows]), np.array([label for _, label in rows])
    bins = np.minimum((scores * bin_count).astype(int), bin_count - 1)
    positives, negatives = (np.bincount(bins[labels == label], minlength=bin_count) for label in (True, False))
    measured = auc(positives, negatives)
    assert measured.binning_low - 1e-12 <= roc_auc_score(labels, scores) <= measured.binning_high + 1e-12


@pytest.mark.parametrize("spread", [0.1, 0.3, 1.0])
def test_binning_moves_the_auc_of_calibrated_scores_by_less_than_a_twentieth_of_its_bounds(spread: float) -> None:
    generator = np.random.default_rng(1)
    scores = special.expit(generator.normal(-1.5, spread, 200_000))
    labels = generator.random(len(scores)) < scores
    bins = probability_bins("score")
    positives, negatives = (
        np.bincount(bins.bin_ids(scores[labels == label]), minlength=bins.bin_count)[FIRST_RANGE:]
        for label in (True, False)
    )
    measured = auc(positives, negatives)
    assert abs(roc_auc_score(labels, scores) - measured.value) < (measured.binning_high - measured.value) / 20


def test_one_bin_hides_everything() -> None:
    measured = auc(np.array([3]), np.array([5]))
    assert [float(bound) for bound in (measured.binning_low, measured.binning_high)] == [0, 1]


@given(COUNTS.filter(lambda counts: bool((counts.sum(axis=1) > 1).all())))
def test_the_variance_is_that_of_the_structural_components(counts: Counts) -> None:
    of_positives, of_negatives = structural_components(*counts)
    expected = of_positives.var(ddof=1) / len(of_positives) + of_negatives.var(ddof=1) / len(of_negatives)
    assert auc(*counts).standard_error ** 2 == pytest.approx(expected, abs=1e-12)


@given(COUNTS.filter(lambda counts: bool((counts.sum(axis=1) > 1).all())))
def test_the_interval_holds_the_value_and_stays_inside_0_and_1(counts: Counts) -> None:
    measured = auc(*counts)
    assert 0 <= measured.confidence_low <= measured.value + 1e-12
    assert measured.value - 1e-12 <= measured.confidence_high <= 1


def test_the_interval_covers_the_true_auc_in_95_of_100_samples() -> None:
    generator = np.random.default_rng(20240301)
    positive_shares, negative_shares = np.array([0.1, 0.2, 0.3, 0.4]), np.array([0.4, 0.3, 0.2, 0.1])
    # a positive outranks the bins below, and half of its own
    truth = (positive_shares * (np.cumsum(negative_shares) - negative_shares / 2)).sum()
    measured = auc(
        generator.multinomial(60, positive_shares, 20_000), generator.multinomial(90, negative_shares, 20_000)
    )
    covered = np.mean((measured.confidence_low <= truth) & (truth <= measured.confidence_high))
    assert covered == pytest.approx(0.95, abs=0.01)


@pytest.mark.parametrize(("positives", "negatives"), [([2, 3], [0, 0]), ([0, 0], [2, 3]), ([0, 0], [0, 0])])
def test_one_class_alone_has_no_auc(positives: list[int], negatives: list[int]) -> None:
    assert np.isnan(astuple(auc(np.array(positives), np.array(negatives)))).all()


def test_windows_are_measured_side_by_side() -> None:
    measured = auc(np.array([[0, 1], [1, 0], [0, 0]]), np.array([[1, 0], [0, 1], [1, 1]]))
    np.testing.assert_array_equal(measured.value, [1, 0, np.nan])
