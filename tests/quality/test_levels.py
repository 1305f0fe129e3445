"""Levels of predictions, compared with the raw rows and the training scores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data import day
from project import ROWS, Project

from driftlake.maths.binning import FIRST_RANGE, MISSING, probability_bins
from driftlake.maths.numeric_bins import learn_numeric_bins
from driftlake.quality.levels import TrainingLevels

SCORES = np.random.default_rng(5).random(ROWS)
CLASSES = ["yes" if score >= 0.7 else "no" for score in SCORES]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "project")


def levels(project: Project, window_days: int = 1) -> dict[tuple[str, str | None], Any]:
    """Value and size of the levels of day 1, by statistic and class."""
    rows = project.rows(
        "select statistic, predicted_class, value, prediction_count from prediction_levels where dt = ?"
        " and window_days = ?",
        day(1),
        window_days,
    )
    return {(statistic, name): (value, count) for statistic, name, value, count in rows}


def test_the_levels_are_those_of_the_raw_scores(project: Project) -> None:
    project.configure(models={"credit": {"decision_cut": 0.37}})
    project.telemetry(1, score=SCORES)
    project.run(1, 1, until="drift")
    found = levels(project)
    assert found["mean_score", None] == pytest.approx((SCORES.mean(), ROWS))
    assert found["share_at_cut", None] == (np.mean(SCORES >= 0.37), ROWS)
    assert found["mean_confidence", None] == pytest.approx((np.maximum(SCORES, 1 - SCORES).mean(), ROWS))


def test_days_are_counted_again_after_the_cut_changed(project: Project) -> None:
    project.telemetry(1, score=SCORES)
    project.run(1, 1, until="drift")
    project.configure(models={"credit": {"decision_cut": 0.9}})
    project.run(1, 1, until="drift")
    assert levels(project)["share_at_cut", None] == (np.mean(SCORES >= 0.9), ROWS)


def test_predictions_without_a_score_have_no_level(project: Project) -> None:
    project.telemetry(1, score=np.where(np.arange(ROWS) < 100, np.nan, SCORES))
    project.run(1, 1, until="drift")
    assert levels(project)["share_at_cut", None] == (np.mean(SCORES[100:] >= 0.5), ROWS - 100)


def test_the_shares_of_classes_are_those_of_the_raw_rows(project: Project) -> None:
    classes = [None, *CLASSES[1:]]
    project.telemetry(1, predicted_class=classes)
    project.run(1, 1, until="drift")
    found = {name: value for (statistic, name), value in levels(project).items() if statistic == "class_share"}
    expected = {name or "(missing)": (classes.count(name) / ROWS, ROWS) for name in (None, "yes", "no")}
    assert found == expected


def test_booleans_and_integers_are_classes_by_their_text(project: Project) -> None:
    project.telemetry(1, predicted_class=[score >= 0.7 for score in SCORES])
    project.telemetry(2, predicted_class=[int(score >= 0.7) for score in SCORES])
    project.run(1, 2, until="profiles")
    found = project.rows("select dt, predicted_class from class_profile order by all")
    assert found == [(day(1), "false"), (day(1), "true"), (day(2), "0"), (day(2), "1")]


def test_a_file_without_classes_is_not_counted_as_missing(project: Project) -> None:
    project.telemetry(1)
    project.telemetry(1, name="part-1", correlation_id=[f"e{row}" for row in range(ROWS)], predicted_class=CLASSES)
    project.run(1, 1, until="profiles")
    assert project.rows("select sum(row_count)::bigint from class_profile") == [(ROWS,)]


def test_the_confidence_histogram_counts_every_score_by_the_larger_probability(project: Project) -> None:
    project.telemetry(1, score=SCORES)
    project.run(1, 1, until="profiles")
    rows = project.rows("select confidence_from, confidence_to, row_count from confidence_histogram order by 1")
    confidence = np.maximum(SCORES, 1 - SCORES)
    for low, high, count in rows:
        assert count == np.sum((confidence >= low) & (confidence < high))
    assert sum(count for *_, count in rows) == ROWS


def test_the_training_share_at_a_cut_on_a_border_is_exact() -> None:
    bins = probability_bins("score")
    counts = np.zeros(bins.bin_count, dtype=np.int64)
    counts[[MISSING, FIRST_RANGE + 199, FIRST_RANGE + 200]] = 50, 30, 10
    assert TrainingLevels.of(bins, counts, 0.5).share_at_cut == pytest.approx(0.25)


def test_the_training_share_at_a_cut_inside_a_bin_is_interpolated() -> None:
    bins = learn_numeric_bins("score", np.arange(4.0), bin_limit=2)
    counts = np.array([0, 0, 0, 2, 2])
    # the training values of the first bin are 0 and 1: a quarter of it lies above 0.75
    assert TrainingLevels.of(bins, counts, 0.75).share_at_cut == pytest.approx((0.25 * 2 + 2) / 4)


@pytest.mark.parametrize(("cut", "share"), [(1.9, 0.5), (2.0, 0.5), (2.1, 0.25)])
def test_the_training_share_at_a_cut_is_exact_where_bins_hold_one_value(cut: float, share: float) -> None:
    bins = learn_numeric_bins("score", np.arange(4.0))
    assert TrainingLevels.of(bins, np.array([0, 0, 0, 1, 1, 1, 1]), cut).share_at_cut == share


def test_without_training_scores_there_is_nothing_to_compare_with() -> None:
    bins = probability_bins("score")
    assert np.isnan(TrainingLevels.of(bins, np.zeros(bins.bin_count, dtype=np.int64), 0.5).share_at_cut)
