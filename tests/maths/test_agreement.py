"""Two scores of the same predictions: the paired AUC difference, the rank correlation, and Wilson's interval."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats
from sklearn.metrics import roc_auc_score  # type: ignore[import-untyped]  # it has no stubs

from driftlake.maths.agreement import paired_auc_difference, rank_correlation
from driftlake.maths.arrays import Counts, Floats
from driftlake.maths.ranking import wilson_interval

BINS = 6
# Bin of the candidate's score, bin of production's, label; two of each label, so that there is a variance.
PAIRS = st.lists(
    st.tuples(st.integers(0, BINS - 1), st.integers(0, BINS - 1), st.booleans()), min_size=4, max_size=40
).filter(lambda rows: 2 <= sum(label for *_, label in rows) <= len(rows) - 2)


def counted(rows: NDArray[np.int64]) -> Counts:
    """Counts per pair of bins, shape (BINS, BINS), of rows of candidate's and production's bin."""
    counts = np.zeros((BINS, BINS), dtype=np.int64)
    np.add.at(counts, (rows[:, 0], rows[:, 1]), 1)
    return counts


def delong(scores: NDArray[np.int64], labels: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """AUCs and covariance matrix of the columns of `scores`, pair of rows by pair of rows (DeLong 1988)."""
    high, low = scores[labels], scores[~labels]
    wins = (high[:, None] > low[None]) + (high[:, None] == low[None]) / 2
    of_positives, of_negatives = wins.mean(axis=1), wins.mean(axis=0)
    covariance = np.cov(of_positives, rowvar=False) / len(high) + np.cov(of_negatives, rowvar=False) / len(low)
    return wins.mean(axis=(0, 1)), covariance


@given(PAIRS)
def test_the_difference_and_its_variance_are_those_of_delong_row_by_row(rows: list[tuple[int, int, bool]]) -> None:
    table = np.array(rows, dtype=np.int64)
    scores, labels = table[:, :2], table[:, 2].astype(bool)
    measured = paired_auc_difference(counted(scores[labels]), counted(scores[~labels]))
    aucs, covariance = delong(scores, labels)
    assert measured.difference == pytest.approx(aucs[0] - aucs[1], abs=1e-12)
    variance = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    assert measured.standard_error**2 == pytest.approx(variance, abs=1e-12)


@given(PAIRS)
def test_both_aucs_are_scikit_learns(rows: list[tuple[int, int, bool]]) -> None:
    table = np.array(rows, dtype=np.int64)
    scores, labels = table[:, :2], table[:, 2].astype(bool)
    measured = paired_auc_difference(counted(scores[labels]), counted(scores[~labels]))
    expected = [roc_auc_score(labels, scores[:, column]) for column in (0, 1)]
    assert [measured.candidate, measured.production] == pytest.approx(expected, abs=1e-12)


def test_equal_scores_have_a_difference_of_zero_without_variance() -> None:
    measured = paired_auc_difference(np.diag([1, 2, 3]), np.diag([3, 2, 1]))
    assert [measured.difference, measured.standard_error, measured.p_value] == [0, 0, 1]


def test_a_perfect_score_and_its_reverse_are_told_apart_with_certainty() -> None:
    measured = paired_auc_difference(np.array([[0, 0], [5, 0]]), np.array([[0, 5], [0, 0]]))
    assert [measured.difference, measured.p_value] == [1, 0]


def test_labels_of_one_class_give_no_comparison() -> None:
    assert np.isnan(paired_auc_difference(np.diag([1, 2]), np.diag([0, 0])).difference)


def test_equally_good_scores_are_told_apart_in_5_of_100_samples() -> None:
    generator = np.random.default_rng(20240301)
    rejections = 0
    for _ in range(400):
        labels = generator.random(500) < 0.3
        common = generator.normal(size=500) + labels
        scores = np.clip(np.stack([common, common], axis=1) + generator.normal(size=(500, 2)) + 3, 0, BINS - 1)
        bins = scores.astype(np.int64)
        rejections += paired_auc_difference(counted(bins[labels]), counted(bins[~labels])).p_value < 0.05
    assert 10 <= rejections <= 31  # 20 expected, within two and a half standard deviations


@given(PAIRS.filter(lambda rows: len({row[0] for row in rows}) > 1 and len({row[1] for row in rows}) > 1))
def test_the_rank_correlation_is_scipys(rows: list[tuple[int, int, bool]]) -> None:
    table = np.array(rows, dtype=np.int64)
    expected = stats.spearmanr(table[:, 0], table[:, 1]).statistic
    assert rank_correlation(counted(table)) == pytest.approx(expected, abs=1e-12)


def test_a_score_without_variation_correlates_with_nothing() -> None:
    assert np.isnan(rank_correlation(np.array([[3, 4], [0, 0]])))


@given(st.integers(1, 2000).flatmap(lambda size: st.tuples(st.integers(0, size), st.just(size))))
def test_the_interval_of_a_share_is_scipys_wilson_interval(case: tuple[int, int]) -> None:
    hits, size = case
    expected = stats.binomtest(hits, size).proportion_ci(method="wilson")
    low, high = wilson_interval(np.array(hits), np.array(size))
    assert [low, high] == pytest.approx([expected.low, expected.high], abs=1e-9)
