"""Performance as one series: daily values, intervals by days, and the evidence of a loss. Not here: the detector (test_sequential)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from data import day
from hypothesis import assume, given
from hypothesis import strategies as st
from project import Project
from pydantic import ValidationError
from sklearn.metrics import accuracy_score, f1_score, roc_auc_score

from driftlake.config import CustomMetric
from driftlake.maths import clustered

COUNTS = st.lists(st.lists(st.integers(0, 9), min_size=6, max_size=6), min_size=8, max_size=20)


def unbinned(positives: np.ndarray, negatives: np.ndarray) -> tuple[list[int], list[int]]:
    """Labels and scores, a row per count."""
    labels, scores = [], []
    for side, label in ((positives, 1), (negatives, 0)):
        for score, count in enumerate(side.sum(axis=0)):
            labels += [label] * int(count)
            scores += [score] * int(count)
    return labels, scores


@given(COUNTS, st.integers(0, 2**32 - 1))
def test_the_mean_of_the_daily_values_is_the_pooled_auc(counts: list[list[int]], seed: int) -> None:
    positives = np.array(counts, float)
    negatives = np.random.default_rng(seed).permutation(positives.ravel()).reshape(positives.shape) + 1
    positives[0, 0] += 1
    found = clustered.pooled_auc([(positives, negatives)])
    assert found.value == pytest.approx(roc_auc_score(*unbinned(positives, negatives)))


@given(COUNTS, st.integers(0, 2**32 - 1))
def test_the_difference_of_two_scores_is_that_of_their_aucs(counts: list[list[int]], seed: int) -> None:
    generator = np.random.default_rng(seed)
    positives, negatives = np.array(counts, float) + 1, np.array(counts[::-1], float) + 1
    first = positives, negatives
    # another score of the same rows
    order = generator.permutation(6)
    second = positives[:, order], negatives[:, generator.permutation(6)]
    found = clustered.pooled_auc_difference(first, second)
    assert found.value == pytest.approx(roc_auc_score(*unbinned(*first)) - roc_auc_score(*unbinned(*second)))


def test_effects_of_days_on_both_scores_cancel() -> None:
    generator = np.random.default_rng(1)
    alike = np.full((28, 1), 100.0) * [[0.1, 0.2, 0.3, 0.4]]
    positives = alike * np.exp(generator.normal(0, 0.5, (28, 1)) * np.array([-1, -0.5, 0.5, 1]))
    first, second = (positives, alike[:, ::-1]), (positives[:, [1, 0, 2, 3]], alike[:, [2, 3, 1, 0]])
    together = clustered.pooled_auc_difference(first, second)
    assert together.standard_error < clustered.pooled_auc([first]).standard_error / 2
    assert together.p_value < 1e-6


def test_differences_between_days_widen_the_interval_beyond_that_of_rows() -> None:
    generator = np.random.default_rng(1)
    alike = np.full((28, 1), 100.0) * [[0.1, 0.2, 0.3, 0.4]]
    shift = generator.normal(0, 0.5, 28)[:, np.newaxis]
    differing = alike * np.exp(shift * np.array([-1, -0.5, 0.5, 1]))
    narrow, wide = (clustered.pooled_auc([(days, alike[:, ::-1])]) for days in (alike, differing))
    assert narrow.standard_error == pytest.approx(0, abs=1e-9)
    assert wide.standard_error > 0.01


def test_intervals_of_dependent_days_have_about_their_nominal_coverage() -> None:
    generator = np.random.default_rng(2)
    noise = generator.standard_normal((400, 60))
    days = np.zeros((400, 28))
    state = np.zeros(400)
    for place in range(60):
        state = 0.3 * state + noise[:, place]
        if place >= 32:
            days[:, place - 32] = state
    found = [clustered.pooled_mean(5 + of_series, np.ones(28)) for of_series in days]
    held = np.mean([each.confidence_low <= 5 <= each.confidence_high for each in found])
    assert 0.88 <= held <= 0.99


def test_fewer_than_eight_days_have_no_interval() -> None:
    found = clustered.pooled_mean(np.ones(7), np.ones(7))
    assert found.value == 1
    assert np.isnan(found.confidence_low)


@given(st.lists(st.lists(st.none() | st.floats(-5, 5), min_size=12, max_size=12), min_size=1, max_size=4))
def test_series_that_are_measured_together_have_the_variance_of_each_alone(series: list[list[float | None]]) -> None:
    stacked = np.array(series, dtype=float)
    together = clustered.long_run_variance(stacked)
    for values, found in zip(stacked, together, strict=True):
        known = values[np.isfinite(values)]
        if len(known) < 2:
            continue
        deviations = known - known.mean()
        summed = [deviations @ deviations]
        lags = range(1, min(4, len(known)))
        summed += [2 * (1 - lag / 4) * (deviations[lag:] @ deviations[:-lag]) for lag in lags]
        assert found == pytest.approx(max(sum(summed), summed[0]) / (len(known) - 1), abs=1e-9)


@given(st.lists(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=12), min_size=8, max_size=40))
def test_the_mean_of_the_daily_values_is_the_macro_f1_of_all_rows(days: list[list[tuple[int, int]]]) -> None:
    pairs = np.array([pair for of_day in days for pair in of_day]).reshape(-1, 2)
    assume(len(pairs))
    hits, sizes = np.zeros((2, 4, len(days)))
    for place, of_day in enumerate(days):
        for label, predicted in of_day:
            hits[label, place] += label == predicted
            sizes[label, place] += 1
            sizes[predicted, place] += 1
    truth = f1_score(*pairs.T, average="macro")
    influences = clustered.macro_mean_influences(2 * hits, sizes)
    assert np.isfinite(influences).tolist() == [bool(of_day) for of_day in days]
    assert np.nanmean(influences) == pytest.approx(truth)
    # the last day is judged against the window that ends with it, and influences of a window of its own are the same
    values = clustered.daily_macro_mean(2 * hits, sizes, window_days=8)
    own = clustered.macro_mean_influences(2 * hits[:, -8:], sizes[:, -8:])
    assert values[-1] == pytest.approx(own[-1], nan_ok=True)


def test_intervals_of_a_macro_f1_have_about_their_nominal_coverage() -> None:
    generator = np.random.default_rng(4)

    def drawn(day_count: int) -> Any:
        """Days whose shares of right predictions differ together; shape (classes, days)."""
        right = generator.normal(0, 0.4, day_count) + np.array([[1.5], [0.5], [0.0]])
        labelled = np.array([[300], [150], [20]]) * np.ones_like(right)
        hits = generator.binomial(labelled.astype(int), 1 / (1 + np.exp(-right)))
        # missed cases of a class are predicted as the next class
        return 2 * hits, labelled + hits + np.roll(labelled - hits, 1, axis=0)

    sums, sizes = drawn(20_000)
    truth = float(np.mean(sums.sum(axis=1) / sizes.sum(axis=1)))
    found = [clustered.clustered_mean(clustered.macro_mean_influences(*drawn(28))) for _ in range(400)]
    held = np.mean([each.confidence_low <= truth <= each.confidence_high for each in found])
    assert 0.9 <= held <= 0.985


def test_merged_bins_keep_every_row() -> None:
    positives = np.arange(40.0).reshape(2, 20)
    merged, _ = clustered.merged_bins(positives, positives, 5)
    assert merged.shape[1] <= 6
    assert merged.sum(axis=1).tolist() == positives.sum(axis=1).tolist()


def test_a_day_weighs_by_its_share_of_the_rows() -> None:
    sums, counts = np.array([10.0, 300.0]), np.array([10.0, 100.0])
    values = clustered.daily_mean(sums, counts, window_days=2)
    mean = 310 / 110
    assert values[1] == pytest.approx(mean + 2 * (300 - 100 * mean) / 110)


def test_a_user_defined_metric_is_a_ratio_of_sums_over_labels(tmp_path: Path) -> None:
    cost = {"sum": "5 * false_positive_count + 20 * (positive_count - true_positive_count)", "better": "lower"}
    settings = {"baseline": 5.0, "tolerance": 0.5}
    generator = np.random.default_rng(3)
    trained = {"score": generator.random(2000), "label": generator.integers(0, 2, 2000)}
    project = Project(
        tmp_path,
        training={"score": trained["score"], "target": trained["label"]},
        lineage={"target": "target", "features": ["x", "colour"]},
        models={"credit": {"metrics": {"cost": cost | settings}, "tolerance": {"accuracy": 0.05}}},
    )
    costs = []
    for number in range(1, 10):
        predictions = pq.read_table(project.telemetry(number), columns=["score"])
        labels = pq.read_table(project.labels(number), columns=["label"])
        decided, label = predictions["score"].to_numpy() >= 0.5, labels["label"].to_numpy()
        costs.append(np.where(decided, 5 * (1 - label), 20 * label).mean())
    project.measure(1, 9)
    values = dict(project.rows("select basis, value from performance where statistic = 'cost' and dt = ?", day(9)))
    assert values["realised"] == values["combined"] == pytest.approx(np.mean(costs))
    # scores say nothing about these labels, so half of all decisions are expected to be wrong
    assert values["estimated"] == pytest.approx(6.25, abs=0.6)
    assert project.rows("select distinct statistic from performance where tolerance is not null order by 1") == [
        ("accuracy",),
        ("auc",),
        ("cost",),
    ]
    [(baseline,)] = project.rows("select distinct baseline_value from performance where statistic = 'accuracy'")
    assert baseline == pytest.approx(accuracy_score(trained["label"], trained["score"] >= 0.5))


@pytest.mark.parametrize(
    ("metric", "said"),
    [
        ({"sum": "5 * false_positives", "better": "lower"}, "is no SQL expression over positive_count"),
        ({"sum": "positive_count", "better": "higher", "baseline": 1}, "baseline and tolerance go together"),
    ],
)
def test_a_metric_that_cannot_be_computed_is_refused(metric: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        CustomMetric(**metric)
