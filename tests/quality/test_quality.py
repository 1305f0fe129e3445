"""Quality as of a day is what was known by its end, whenever it is computed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from data import (
    GROUP,
    KEY,
    TRAINING_RUN,
    Row,
    assert_same_rows,
    day,
    feature_columns,
    insert,
    model_version,
    prediction_columns,
    write_day,
    write_project,
)
from numpy.typing import NDArray
from quality_measurement import ABOVE, BELOW, HIGH, LOW, MISSING, given_predictions, measured
from scipy import stats

from driftlake.config import Settings
from driftlake.lake.warehouse import Warehouse
from driftlake.lineage.lineage_files import read_lineage_folder
from driftlake.lineage.versions import ModelVersion, TrainingLabels
from driftlake.maths.binning import Floats
from driftlake.nightly.derived import measure_quality
from driftlake.nightly.labels import count_labels
from driftlake.nightly.profiles import profile_days
from driftlake.nightly.stages import new_context
from driftlake.quality import measures
from driftlake.training.registration import register


def given_labels(
    memory: Warehouse, known: int, predicted: int, bin_id: int, counts: tuple[int, int], **sums: float
) -> None:
    """`counts` labels of 1 and of 0, of predictions of one day and bin, that became known on day `known`."""
    row = GROUP | {"dt": day(known), "prediction_on": day(predicted), "bin_id": bin_id, "score_sum": 0.0}
    insert(
        memory.connection, "label_cohorts", [row | {"positive_count": counts[0], "negative_count": counts[1]} | sums]
    )


def given_perfect_ranking(memory: Warehouse, known: int, predicted: int = 1) -> None:
    given_labels(memory, known, predicted, HIGH, (10, 0))
    given_labels(memory, known, predicted, LOW, (0, 10))


def given_inverted_ranking(memory: Warehouse, known: int, predicted: int = 1) -> None:
    given_labels(memory, known, predicted, HIGH, (0, 10))
    given_labels(memory, known, predicted, LOW, (10, 0))


def value(memory: Warehouse, on: int, statistic: str = "auc", *, window: int = 7) -> Row:
    [row] = [row for row in measured(memory, on, window=window).to_pylist() if row["statistic"] == statistic]
    return dict(row)


def history(memory: Warehouse, on: int) -> Row:
    """The row of quality_history of a day that is measured now."""
    memory.insert("model_quality", measured(memory, on))
    [row] = memory.sql("select * from quality_history where dt = ?", [day(on)]).to_pylist()
    return dict(row)


def test_labels_that_arrive_later_do_not_change_the_value_of_a_day(memory: Warehouse) -> None:
    given_predictions(memory, 1, 2)
    given_perfect_ranking(memory, known=2)
    before = value(memory, on=2)
    given_inverted_ranking(memory, known=3)
    assert value(memory, on=2) == before
    assert before["value"] == 1


def test_labels_that_arrive_later_change_the_value_of_the_day_they_arrive(memory: Warehouse) -> None:
    given_predictions(memory, 1, 3)
    given_perfect_ranking(memory, known=2)
    given_inverted_ranking(memory, known=3)
    assert value(memory, on=3)["value"] == 0.5


def test_the_auc_with_all_labels_stands_beside_the_auc_of_the_day(memory: Warehouse) -> None:
    given_predictions(memory, 1, 2)
    given_perfect_ranking(memory, known=2)
    given_inverted_ranking(memory, known=3)
    row = history(memory, on=2)
    assert (row["auc"], row["coverage_share"]) == (1, 20 / 2000)
    assert (row["all_labels_auc"], row["all_labels_coverage_share"]) == (0.5, 40 / 2000)


def test_both_aucs_are_equal_once_every_label_is_known(memory: Warehouse) -> None:
    given_predictions(memory, 1)
    generator = np.random.default_rng(1)
    for bin_id in (MISSING, BELOW, ABOVE, LOW, HIGH):
        given_labels(memory, 1, 1, bin_id, (int(generator.integers(10, 50)), int(generator.integers(10, 50))))
    row = history(memory, on=1)
    for name in ("auc", "confidence_low", "confidence_high", "binning_low", "binning_high"):
        assert row[f"all_labels_{name}"] == pytest.approx(row[name]), name


def test_the_auc_with_all_labels_needs_as_many_labels_as_the_auc_of_the_day(memory: Warehouse) -> None:
    given_predictions(memory, 1)
    given_labels(memory, 3, 1, HIGH, (10, 9))
    row = history(memory, on=1)
    assert (row["all_labels_auc"], row["all_labels_confidence_low"], row["all_labels_positive_count"]) == (
        None,
        None,
        10,
    )
    assert row["all_labels_reason"].startswith("fewer than 10 labels of one class")
    given_labels(memory, 4, 1, LOW, (0, 1))
    [(value_now,)] = memory.connection.execute("select all_labels_auc from quality_history").fetchall()
    # by hand: each of ten positives ties with nine negatives and beats one
    assert value_now == pytest.approx((9 / 2 + 1) / 10)


def test_scores_above_the_grid_rank_highest_and_those_below_lowest(memory: Warehouse) -> None:
    given_predictions(memory, 1)
    given_labels(memory, 1, 1, ABOVE, (10, 0))
    given_labels(memory, 1, 1, HIGH, (0, 10))
    given_labels(memory, 1, 1, LOW, (10, 0))
    given_labels(memory, 1, 1, BELOW, (0, 10))
    # the positives above beat all, those of LOW beat the half that is below
    assert value(memory, on=1)["value"] == 0.75


def test_labels_of_predictions_without_a_score_count_but_do_not_rank(memory: Warehouse) -> None:
    given_predictions(memory, 1)
    given_perfect_ranking(memory, known=1)
    given_labels(memory, 1, 1, MISSING, (30, 0))
    row = value(memory, on=1)
    assert (row["value"], row["label_count"], row["coverage_share"]) == (1, 50, 0.05)


def test_a_window_holds_the_predictions_of_its_days(memory: Warehouse) -> None:
    given_predictions(memory, 1, 2)
    given_inverted_ranking(memory, known=2, predicted=1)
    given_perfect_ranking(memory, known=2, predicted=2)
    assert (value(memory, on=2, window=1)["value"], value(memory, on=2, window=2)["value"]) == (1, 0.5)


def test_the_drop_is_measured_from_the_promised_auc(memory: Warehouse) -> None:
    given_predictions(memory, 1)
    given_perfect_ranking(memory, known=1)
    given_inverted_ranking(memory, known=1)
    row = value(memory, on=1)
    assert (row["baseline_value"], row["drop_from_baseline"]) == (0.9, pytest.approx(0.4))


@pytest.mark.parametrize(
    ("counts", "reason"),
    [
        (None, "no labels have arrived for the window"),
        ((20, 0), "labels of one class only"),
        ((20, 9), "fewer than 10 labels of one class"),
    ],
)
def test_an_auc_of_too_few_labels_is_insufficient_data(
    memory: Warehouse, counts: tuple[int, int] | None, reason: str
) -> None:
    given_predictions(memory, 1)
    if counts:
        given_labels(memory, 1, 1, HIGH, counts)
    row = value(memory, on=1)
    assert (row["value"], row["outcome"], row["reason"]) == (None, "insufficient_data", reason)


def test_labels_without_any_score_are_insufficient_data(memory: Warehouse) -> None:
    given_predictions(memory, 1)
    given_labels(memory, 1, 1, MISSING, (20, 20))
    assert value(memory, on=1)["reason"] == "no scores to rank by"


def test_a_version_that_stopped_predicting_is_insufficient_data(memory: Warehouse) -> None:
    given_predictions(memory, 1)
    given_perfect_ranking(memory, known=1)
    row = value(memory, on=2)
    assert (row["value"], row["reason"]) == (None, "no predictions on the day")


def test_ten_labels_of_each_class_are_enough(memory: Warehouse) -> None:
    given_predictions(memory, 1)
    given_labels(memory, 1, 1, HIGH, (10, 10))
    row = value(memory, on=1)
    assert (row["value"], row["outcome"], row["reason"]) == (0.5, "measured", None)


def test_log_loss_and_brier_score_are_means_of_their_sums(memory: Warehouse) -> None:
    given_predictions(memory, 1)
    given_labels(memory, 1, 1, HIGH, (12, 4), log_loss_sum=8.0, squared_error_sum=2.0)
    given_labels(memory, 1, 1, LOW, (0, 4), log_loss_sum=2.0, squared_error_sum=1.0)
    found = (value(memory, on=1, statistic="log_loss")["value"], value(memory, on=1, statistic="brier_score")["value"])
    assert found == (10.0 / 20, 3.0 / 20)


def test_calibration_error_is_how_far_the_bins_miss_their_positives(memory: Warehouse) -> None:
    given_predictions(memory, 1)
    given_labels(memory, 1, 1, HIGH, (10, 0), score_sum=8.0, log_loss_sum=1.0)
    given_labels(memory, 1, 1, LOW, (0, 10), score_sum=1.0, log_loss_sum=1.0)
    # out of 20: 2 positives too many at high scores, 1 too few at low ones
    assert value(memory, on=1, statistic="calibration_error")["value"] == pytest.approx(0.15)


def test_a_model_without_probabilities_has_no_log_loss(memory: Warehouse) -> None:
    given_predictions(memory, 1)
    given_perfect_ranking(memory, known=1)
    row = value(memory, on=1, statistic="log_loss")
    assert (row["value"], row["reason"]) == (None, "the score is not a probability, or missing")


# --- before labels come ---


def trained(positives: int, negatives: int) -> ModelVersion:
    """A version whose training data has this many positives at high scores and as many negatives at low ones."""
    version = model_version()
    assert version.score_bins
    width = version.score_bins.bin_count
    labels = {"positives": np.zeros(width, np.int64), "negatives": np.zeros(width, np.int64)}
    labels["positives"][HIGH], labels["negatives"][LOW] = positives, negatives
    return replace(version, training_labels=TrainingLabels(**labels, scored_count=0, scored_sums={}))


def estimate(memory: Warehouse, statistic: str, version: ModelVersion) -> Row:
    [row] = [row for row in measured(memory, 1, version=version).to_pylist() if row["statistic"] == statistic]
    return dict(row)


def test_without_labels_scores_are_calibrated_on_training_data(memory: Warehouse) -> None:
    given_predictions(memory, 1)
    row = estimate(memory, "estimated_positive_rate", trained(1000, 1000))
    assert (row["value"], row["reason"]) == (0.0, "calibrated on the training data")


def test_scores_are_calibrated_on_recent_labels(memory: Warehouse) -> None:
    given_predictions(memory, 1)
    given_labels(memory, 1, -20, LOW, (300, 700))
    row = estimate(memory, "estimated_positive_rate", trained(1000, 1000))
    assert (row["value"], row["reason"]) == (pytest.approx(0.3, abs=0.002), None)


def test_labels_that_become_known_later_change_no_estimate(memory: Warehouse) -> None:
    given_predictions(memory, 1)
    given_labels(memory, 2, 1, LOW, (500, 500))
    assert estimate(memory, "estimated_positive_rate", trained(1000, 1000))["value"] == 0.0


def test_estimates_learn_from_labels_that_can_be_corrected_once_they_are_final(memory: Warehouse) -> None:
    insert(memory.connection, "training_runs", [TRAINING_RUN | {"label_delay_max_days": 9.5}])
    insert(
        memory.connection,
        "prediction_profile",
        [GROUP | {"dt": day(1), "bin_id": LOW, "row_count": 1000, "score_sum": 1.0}],
    )
    given_labels(memory, -20, -20, LOW, (0, 2000))
    given_labels(memory, -13, -20, LOW, (1000, -1000))
    # the labels of the positives have not arrived yet
    given_labels(memory, -5, -5, LOW, (0, 2000))
    [row] = [
        row
        for row in measured(memory, 1, version=trained(0, 0), latest=True).to_pylist()
        if row["statistic"] == "estimated_positive_rate"
    ]
    assert (row["value"], row["reason"]) == (0.5, None)


def test_an_estimate_without_enough_labels_is_insufficient_data(memory: Warehouse) -> None:
    given_predictions(memory, 1)
    given_labels(memory, 1, 1, LOW, (400, 599))
    row = estimate(memory, "estimated_auc", model_version())
    assert (row["value"], row["reason"]) == (None, "too few labels to calibrate the scores")


def test_the_history_of_estimates_shows_the_later_measured_values(memory: Warehouse) -> None:
    given_predictions(memory, 1)
    memory.insert("model_quality", measured(memory, 1, version=trained(1000, 1000)))
    given_labels(memory, 5, 1, LOW, (100, 300), true_positive_count=0, false_positive_count=0, log_loss_sum=80.0)
    found = memory.sql("select statistic, realised_value, realised_coverage_share from estimate_history").to_pylist()
    assert {row["statistic"]: row["realised_value"] for row in found} == {
        "estimated_positive_rate": 0.25,
        "estimated_accuracy": 0.75,
        "estimated_log_loss": 0.2,
    }
    assert {row["realised_coverage_share"] for row in found} == {0.4}


# --- decisions and errors ---


def test_decisions_are_right_or_wrong_at_the_cut(memory: Warehouse) -> None:
    given_predictions(memory, 1)
    given_labels(memory, 1, 1, HIGH, (30, 10), true_positive_count=30, false_positive_count=10)
    given_labels(memory, 1, 1, LOW, (20, 40), true_positive_count=0, false_positive_count=0)
    found = {row["statistic"]: row["value"] for row in measured(memory, 1).to_pylist()}
    expected = {"accuracy": 0.7, "precision": 0.75, "recall": 0.6, "f1_score": 2 * 0.75 * 0.6 / 1.35}
    assert {name: found[name] for name in expected} == pytest.approx(expected)


def test_the_positive_rate_has_the_training_rate_as_baseline(memory: Warehouse) -> None:
    given_predictions(memory, 1)
    given_labels(memory, 1, 1, LOW, (30, 70))
    row = estimate(memory, "positive_rate", trained(200, 800))
    interval = stats.binomtest(30, 100).proportion_ci(method="wilson")
    assert (row["value"], row["baseline_value"]) == (0.3, 0.2)
    assert (row["confidence_low"], row["confidence_high"]) == pytest.approx((interval.low, interval.high))


def test_a_regression_has_errors_and_no_auc(memory: Warehouse) -> None:
    given_predictions(memory, 1)
    errors = np.random.default_rng(3).normal(1, 2, 100)
    sums = {"error_sum": errors.sum(), "absolute_error_sum": np.abs(errors).sum()}
    sums |= {"squared_error_sum": (errors**2).sum(), "quantile_loss_sum": np.abs(errors).sum() / 2}
    given_labels(memory, 1, 1, LOW, (0, 0), number_count=100, **sums)
    version = replace(model_version(), task="regression", score_kind="value")
    found = {row["statistic"]: row for row in measured(memory, 1, version=version).to_pylist()}
    assert {name: row["value"] for name, row in found.items()} == {
        "mean_absolute_error": pytest.approx(np.abs(errors).mean()),
        "root_mean_squared_error": pytest.approx(np.sqrt((errors**2).mean())),
        "mean_error": pytest.approx(errors.mean()),
        "quantile_loss": pytest.approx(np.abs(errors).mean() / 2),
    }
    half_width = 1.96 * errors.std() / 10
    assert found["mean_error"]["confidence_high"] == pytest.approx(errors.mean() + half_width)


def test_a_range_of_days_gives_the_rows_of_its_days(memory: Warehouse) -> None:
    given_predictions(memory, 1, 2, 3)
    given_perfect_ranking(memory, known=2, predicted=1)
    given_inverted_ranking(memory, known=3, predicted=2)
    one_by_one = pa.concat_tables([measured(memory, on) for on in (1, 2, 3, 4)])
    assert_same_rows(measured(memory, on=1, last=4), one_by_one)


# --- whole nights ---

NIGHTS = (1, 2, 3)


def deliver(settings: Settings, number: int) -> None:
    """Telemetry of a day, and the labels that arrive on it: a third of those of this day and of the two before."""
    write_day(Path(settings.resolve("telemetry")), number, predictions(number))
    labels = [arriving(predicted, number) for predicted in range(max(number - 2, 1), number + 1)]
    write_day(Path(settings.resolve("labels")), number, pa.concat_tables(labels))


def predictions(number: int) -> dict[str, pa.Array]:
    return prediction_columns(number, 400, np.random.default_rng(number))


def arriving(predicted: int, number: int) -> pa.Table:
    """Labels of day `predicted` that arrive on day `number`; a label is 1 with the probability of its score."""
    rows = predictions(predicted)
    generator = np.random.default_rng(100 + predicted)
    label = generator.random(400) < rows["score"].to_numpy()
    is_now = pa.array(generator.integers(0, 3, 400) == number - predicted)
    return pa.table({"correlation_id": rows["correlation_id"], "label": pa.array(label)}).filter(is_now)


@pytest.fixture(scope="module")
def backfill(tmp_path_factory: pytest.TempPathFactory) -> dict[str, pa.Table]:
    """Labels and quality of a project to which the days of NIGHTS were delivered."""
    generator = np.random.default_rng(20240301)
    training = feature_columns(2000, generator) | {"score": pa.array(generator.random(2000))}
    root = tmp_path_factory.mktemp("backfill") / "project"
    settings = write_project(root, features=("age", "channel"), training=training)
    for number in NIGHTS:
        deliver(settings, number)
    context, days = new_context(settings, "run"), [day(number) for number in NIGHTS]
    with Warehouse.open(settings) as warehouse:
        register(warehouse, settings, read_lineage_folder(settings))
        for work in (profile_days, count_labels, measure_quality):
            work(warehouse, settings, context, days)
        return {table: warehouse.sql(f"select * from {table}") for table in ("label_cohorts", "model_quality")}


def labels_known(on: int, predicted: int) -> tuple[Floats, NDArray[np.bool_]]:
    """Scores and labels of the predictions of a day whose label has arrived by the end of day `on`."""
    rows = predictions(predicted)
    scores = dict(zip(rows["correlation_id"].to_pylist(), rows["score"].to_pylist(), strict=True))
    known = pa.concat_tables([arriving(predicted, number) for number in range(predicted, on + 1)])
    return np.array([scores[key] for key in known["correlation_id"].to_pylist()]), known["label"].to_numpy()


def test_the_auc_of_a_day_is_that_of_the_unbinned_scores_labelled_by_then(backfill: dict[str, pa.Table]) -> None:
    wanted = {"dt": day(2), "window_days": 7, "statistic": "auc"}
    [row] = [row for row in backfill["model_quality"].to_pylist() if wanted.items() <= row.items()]
    pairs = [labels_known(2, predicted) for predicted in (1, 2)]
    scores, labels = (np.concatenate(parts) for parts in zip(*pairs, strict=True))
    assert row["label_count"] == len(labels)
    assert row["binning_low"] <= pairwise_auc(scores, labels) <= row["binning_high"]


def test_the_log_loss_of_a_cohort_is_that_of_the_unbinned_scores(backfill: dict[str, pa.Table]) -> None:
    wanted = {"dt": day(1), "prediction_on": day(1)}
    rows = [row for row in backfill["label_cohorts"].to_pylist() if wanted.items() <= row.items()]
    scores, labels = labels_known(1, 1)
    expected = -np.log(np.where(labels, scores, 1 - scores)).sum()
    assert sum(row["log_loss_sum"] for row in rows) == pytest.approx(expected)


def pairwise_auc(scores: Floats, labels: NDArray[np.bool_]) -> float:
    higher, lower = scores[labels][:, None], scores[~labels][None, :]
    return float(np.mean(np.where(higher > lower, 1.0, np.where(higher == lower, 0.5, 0.0))))


def test_the_interval_of_a_measured_value_is_that_of_days_where_days_are_known(memory: Warehouse) -> None:
    given_predictions(memory, *range(1, 11))
    for number in range(1, 11):
        given_perfect_ranking(memory, known=number, predicted=number)
    rows = measured(memory, on=10, window=10)
    row = {
        "dt": day(10),
        "window_days": 10,
        "model_id": KEY[0],
        "model_version": KEY[1],
        "deployment": "production",
        "statistic": "positive_rate",
        "basis": "realised",
        "value": 0.5,
        "confidence_low": 0.4,
        "confidence_high": 0.7,
    }
    performance = pa.Table.from_pylist([row | {"basis": "combined", "confidence_low": 0.0}, row])
    found = {row["statistic"]: row for row in measures.with_days_as_clusters(rows, performance).to_pylist()}
    reported = {name: found[name]["interval_unit"] for name in ("positive_rate", "auc", "estimated_auc", "f1_score")}
    assert reported == {"positive_rate": "days", "auc": "rows", "estimated_auc": None, "f1_score": None}
    assert (found["positive_rate"]["confidence_low"], found["positive_rate"]["confidence_high"]) == (0.4, 0.7)
