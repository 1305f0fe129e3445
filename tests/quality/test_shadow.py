"""A candidate against production: pairs and statistics are those of the raw rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data import Row, day
from project import ROWS, Project
from scipy import stats
from sklearn.metrics import roc_auc_score  # type: ignore[import-untyped]  # it has no stubs

from driftlake.lake.warehouse import Warehouse
from driftlake.maths.arrays import Floats
from driftlake.report.pages import render_day

PRODUCED, TRIED = np.round(np.random.default_rng(11).random((2, ROWS)), 3)
LABELS = (np.random.default_rng(12).random(ROWS) < TRIED).astype(int)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Two days in shadow; the labels of the first arrive on the second."""
    project = shadowed(tmp_path_factory.mktemp("shadow") / "project")
    project.telemetry(2, score=PRODUCED)
    project.telemetry(2, name="part-1", model_version=["v2"] * ROWS, deployment=["shadow"] * ROWS, score=TRIED)
    project.measure(1, 2)
    return project


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A day of a model without a candidate."""
    project = Project(tmp_path_factory.mktemp("alone") / "project")
    project.telemetry(1)
    project.measure(1, 1)
    return project


def shadowed(root: Path, *, candidate: Floats = TRIED, ids: list[str] | None = None, **changes: Any) -> Project:
    """A day on which v2 scored the predictions of v1 in shadow, and labels that arrive on the day after."""
    project = Project(root)
    project.register("v2")
    project.telemetry(1, score=PRODUCED)
    shadow = {"model_version": ["v2"] * ROWS, "deployment": ["shadow"] * ROWS, "score": candidate}
    if ids is not None:
        shadow["correlation_id"] = ids
    project.telemetry(1, name="part-1", **shadow | changes)
    project.labels(2, predicted=1, label=LABELS)
    return project


def compared(project: Project, last: int = 1, window_days: int = 1) -> dict[str, Row]:
    """The rows of shadow_comparison of a day, by statistic."""
    columns = ("statistic", "value", "confidence_low", "confidence_high", "paired_count", "reason")
    rows = project.rows(
        f"select {', '.join(columns)} from shadow_comparison where dt = ? and window_days = ?", day(last), window_days
    )
    return {row[0]: dict(zip(columns, row, strict=True)) for row in rows}


def test_the_statistics_are_those_of_the_raw_scores(project: Project) -> None:
    found = {name: row["value"] for name, row in compared(project).items()}
    difference = TRIED - PRODUCED
    assert found["matched_share"] == 1
    assert found["agreement_share"] == np.mean((TRIED >= 0.5) == (PRODUCED >= 0.5))
    assert found["mean_difference"] == pytest.approx(difference.mean())
    assert found["rank_correlation"] == pytest.approx(stats.spearmanr(TRIED, PRODUCED).statistic, abs=0.01)
    for percent in (5, 50, 95):
        expected = np.percentile(difference, percent, method="inverted_cdf")
        assert found[f"difference_p{percent:02d}"] == pytest.approx(expected, rel=0.011)


def test_the_interval_of_the_mean_difference_is_that_of_a_mean_of_pairs(project: Project) -> None:
    row = compared(project)["mean_difference"]
    half = 1.96 * stats.sem(TRIED - PRODUCED)
    assert row["confidence_high"] - row["value"] == pytest.approx(half, rel=1e-4)


def test_the_aucs_are_compared_once_labels_have_arrived(project: Project) -> None:
    assert (
        compared(project)["auc_difference"]["reason"]
        == "no labels have arrived for predictions that both versions answered"
    )
    expected = roc_auc_score(LABELS, TRIED) - roc_auc_score(LABELS, PRODUCED)
    assert compared(project, 2, 7)["auc_difference"]["value"] == pytest.approx(expected, abs=0.02)


def test_a_prediction_delivered_twice_is_paired_once(tmp_path: Path) -> None:
    project = shadowed(tmp_path / "project")
    project.telemetry(1, name="part-2", score=PRODUCED)
    project.measure(1, 1)
    assert compared(project)["matched_share"]["paired_count"] == ROWS


def test_a_candidate_with_other_predictions_matches_none(tmp_path: Path) -> None:
    project = shadowed(tmp_path / "project", ids=[f"other-{row}" for row in range(ROWS)])
    project.measure(1, 1)
    found = compared(project)
    assert found["matched_share"]["value"] == 0
    assert found["agreement_share"]["reason"] == "no predictions in the window that both versions answered"


def test_predictions_without_a_score_are_matched_and_not_compared(tmp_path: Path) -> None:
    candidate = np.where(np.arange(ROWS) < 10, np.nan, TRIED)
    project = shadowed(tmp_path / "project", candidate=candidate)
    project.measure(1, 1)
    found = compared(project)
    assert found["matched_share"]["value"] == 1
    assert found["agreement_share"]["paired_count"] == ROWS - 10
    assert found["agreement_share"]["value"] == np.mean((TRIED >= 0.5)[10:] == (PRODUCED >= 0.5)[10:])


def test_the_cut_of_the_model_decides_what_agrees(tmp_path: Path) -> None:
    project = shadowed(tmp_path / "project")
    project.measure(1, 1)
    project.configure(models={"credit": {"decision_cut": 0.9}})
    project.measure(1, 1)
    assert compared(project)["agreement_share"]["value"] == np.mean((TRIED >= 0.9) == (PRODUCED >= 0.9))


def test_a_window_of_two_days_is_their_sum(project: Project) -> None:
    one_day, both = compared(project, 1, 7)["mean_difference"], compared(project, 2, 7)["mean_difference"]
    assert both["value"] == pytest.approx(one_day["value"])
    assert both["paired_count"] == 2 * ROWS


def test_disagreement_is_a_signal_and_without_labels_the_only_one(project: Project) -> None:
    found = project.rows(
        "select signal, feature, sample_count from sli_history where signal like 'shadow%' and dt = ? and window_days = 1",
        day(1),
    )
    assert found == [("shadow_comparison.disagreement_share", "v1", ROWS)]


def test_without_a_candidate_nothing_is_compared(alone: Project) -> None:
    tables = ("shadow_profile", "shadow_differences", "shadow_comparison")
    assert alone.contents(*tables) == {name: [] for name in tables}


def test_the_page_of_a_day_shows_candidates_only_where_there_are_some(project: Project, alone: Project) -> None:
    assert ['id="shadow"' in page(shown) for shown in (project, alone)] == [True, False]
    assert '<th scope="row">credit v2 (shadow)</th><td>v1</td>' in page(project)


def page(project: Project) -> str:
    with Warehouse.open(project.settings, read_only=True) as warehouse:
        return render_day(warehouse, project.settings, day(1)).read_text()
