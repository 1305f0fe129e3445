"""A sample has the same rows in every engine, intervals account for it, and totals are scaled up."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
from data import day, noon
from hypothesis import given as examples
from hypothesis import settings as effort
from hypothesis import strategies
from project import Project
from sklearn.metrics import roc_auc_score

from driftlake.lake import schema

MANY = 20_000
NUMBERS = np.arange(MANY)
SCORES = np.random.default_rng(3).random(MANY)
LABELS = (np.random.default_rng(4).random(MANY) < SCORES).astype(int)


def is_in_sample(correlation_id: str, rate: float) -> bool:
    return rate == 1 or int(hashlib.md5(correlation_id.encode()).hexdigest()[:8], 16) < rate * 2**32


def sampled(prefix: str, rate: float, count: int = MANY) -> np.ndarray[Any, np.dtype[np.bool_]]:
    return np.array([is_in_sample(f"{prefix}-{row}", rate) for row in range(count)])


def project_at(root: Path, rate: float, *, count: int = MANY, labelled_on: int = 2, **sections: Any) -> Project:
    """A project with one day of predictions, all of them labelled on one, by default the next."""
    project = Project(root, models={"credit": {"sampling_rate": rate}}, **sections)
    ids = [f"d1-{row}" for row in range(count)]
    generator = np.random.default_rng(1)
    columns = {
        "x": generator.normal(size=count),
        "colour": generator.choice(["red", "blue"], count),
        "score": SCORES[:count],
    }
    project.telemetry(1, correlation_id=ids, **columns)
    project.labels(labelled_on, correlation_id=ids, label=LABELS[:count])
    return project


def sizes(project: Project) -> list[tuple[Any, ...]]:
    return project.rows("select sampling_rate, prediction_count, sampled_count from sampling_rates order by dt")


@examples(strategies.text(), strategies.floats(0.001, 1))
@effort(max_examples=50, deadline=None)
def test_the_sample_is_what_hashlib_says(correlation_id: str, rate: float) -> None:
    with duckdb.connect() as db:
        [macro] = [text for text in schema.session_macros() if "macro is_in_sample" in text]
        db.execute(macro)
        found = db.execute("select is_in_sample(?, ?)", [correlation_id, rate]).fetchone()
    assert found == (is_in_sample(correlation_id, rate),)


@examples(strategies.text(), strategies.floats(0.001, 1), strategies.floats(0.001, 1))
def test_the_sample_of_a_smaller_rate_is_part_of_a_larger_one(
    correlation_id: str, first_rate: float, second_rate: float
) -> None:
    assert is_in_sample(correlation_id, max(first_rate, second_rate)) or not is_in_sample(
        correlation_id, min(first_rate, second_rate)
    )


@pytest.mark.parametrize("rate", [0, -0.1, 1.5])
def test_a_rate_that_is_not_a_share_is_refused(tmp_path: Path, rate: float) -> None:
    with pytest.raises(Exception, match="sampling_rate"):
        Project(tmp_path / "project", models={"credit": {"sampling_rate": rate}})


def test_every_profile_counts_the_sampled_rows_and_no_others(tmp_path: Path) -> None:
    project = project_at(tmp_path / "project", 0.1, count=2000, telemetry={"path": "telemetry", "segments": ["colour"]})
    project.run(1, 1, until="profiles")
    kept = int(sampled("d1", 0.1, 2000).sum())
    assert sizes(project) == [(0.1, 2000, kept)]
    counts = "select sum(row_count)::bigint from {} where segment = ? {}"
    assert project.rows(counts.format("prediction_profile", ""), "all") == [(kept,)]
    assert project.rows(counts.format("feature_profile", "and feature = 'x'"), "all") == [(kept,)]
    [(of_segments,)] = project.rows("select sum(row_count) from prediction_profile where segment <> 'all'")
    assert of_segments == kept
    scored = project.rows("select sum(score_sum) from prediction_profile where segment = 'all'")
    assert scored[0][0] == pytest.approx(SCORES[:2000][sampled("d1", 0.1, 2000)].sum())


def test_without_a_rate_every_day_has_the_rate_1(tmp_path: Path) -> None:
    project = Project(tmp_path / "project")
    project.telemetry(1)
    project.run(1, 1, until="profiles")
    assert sizes(project) == [(1, 300, 300)]


def test_duplicates_are_reported_whether_or_not_they_are_sampled(tmp_path: Path) -> None:
    project = project_at(tmp_path / "project", 0.1, count=100)
    project.telemetry(1, name="part-1", correlation_id=[f"d1-{row}" for row in range(100)])
    project.run(1, 1, until="profiles", is_checked=True)
    [(duplicates,)] = project.rows(
        "select unexpected_count from contract_checks where expectation = 'prediction_is_unique'"
    )
    assert duplicates == 100
    assert sizes(project) == [(0.1, 100, sampled("d1", 0.1, 100).sum())]


def test_labels_of_predictions_outside_the_sample_are_neither_unmatched_nor_outstanding(tmp_path: Path) -> None:
    project = project_at(tmp_path / "project", 0.1)
    project.measure(1, 2)
    assert project.rows("select matched_count, unmatched_count from label_arrivals") == [(MANY, 0)]
    kept = sampled("d1", 0.1)
    [counted] = project.rows("select sum(positive_count)::bigint, sum(negative_count)::bigint from label_cohorts")
    assert counted == (LABELS[kept].sum(), kept.sum() - LABELS[kept].sum())
    backlog = "select outstanding_count, sampled_count from label_backlog where age_bucket = 'all' and dt = ?"
    assert project.rows(backlog, day(2)) == [(0, kept.sum())]


def test_the_backlog_estimates_the_whole(tmp_path: Path) -> None:
    project = project_at(tmp_path / "project", 0.1)
    project.labels(2, correlation_id=[f"d1-{row}" for row in range(MANY // 2)], label=LABELS[: MANY // 2])
    project.measure(1, 2)
    kept = sampled("d1", 0.1)
    [(predicted, outstanding)] = project.rows(
        "select prediction_count, outstanding_count from label_backlog where age_bucket = 'all' and dt = ?", day(2)
    )
    assert (predicted, outstanding) == (kept.sum() * 10, kept[MANY // 2 :].sum() * 10)


def test_the_volume_is_that_of_the_whole(tmp_path: Path) -> None:
    project = project_at(tmp_path / "project", 0.1, count=2000)
    project.run(1, 1, until="profiles")
    assert project.rows("select dt, prediction_count from prediction_volume") == [(day(1), 2000)]


def test_intervals_widen_with_the_root_of_the_rate_and_contain_the_full_value(tmp_path: Path) -> None:
    widths = {}
    whole = roc_auc_score(LABELS, SCORES)
    for rate in (1.0, 0.25, 0.04):
        project = project_at(tmp_path / f"at-{rate}", rate, labelled_on=1)
        project.measure(1, 1)
        [(auc, low, high)] = project.rows(
            "select value, confidence_low, confidence_high from model_quality"
            " where statistic = 'auc' and window_days = 28 and segment = 'all'"
        )
        kept = sampled("d1", rate)
        assert auc == pytest.approx(roc_auc_score(LABELS[kept], SCORES[kept]), abs=0.002)
        assert low < whole < high
        widths[rate] = high - low
    assert widths[0.25] / widths[1.0] == pytest.approx(2, rel=0.1)
    assert widths[0.04] / widths[1.0] == pytest.approx(5, rel=0.15)


def test_the_noise_floor_of_a_divergence_widens_with_the_sample(tmp_path: Path) -> None:
    floors = []
    for rate in (1.0, 0.04):
        project = project_at(tmp_path / f"at-{rate}", rate)
        project.run(1, 1, until="drift")
        [(floor, count)] = project.rows(
            "select noise_floor, current_count from feature_drift"
            " where statistic = 'psi' and feature = 'x' and window_days = 1 and reference = 'training'"
        )
        assert count == sampled("d1", rate).sum()
        floors.append(floor)
    assert floors[1] > floors[0]


def test_labels_are_sampled_as_their_predictions_were_whatever_the_rate_is_now(tmp_path: Path) -> None:
    project = project_at(tmp_path / "project", 0.1, count=2000)
    project.run(1, 1, until="label_cohorts")
    project.configure(models={"credit": {"sampling_rate": 1.0}})
    project.run(2, 2, until="label_cohorts")
    labelled = "select sum(positive_count + negative_count)::bigint from label_cohorts"
    assert project.rows(labelled) == [(sampled("d1", 0.1, 2000).sum(),)]
    # counting the day again at the new rate also counts the labels of later days again
    project.run(1, 2, until="label_cohorts")
    assert project.rows(labelled) == [(2000,)]


def test_a_candidate_is_compared_on_the_sampled_pairs(tmp_path: Path) -> None:
    project = project_at(tmp_path / "project", 0.1, count=2000)
    project.register("v2")
    ids = [f"d1-{row}" for row in range(2000)]
    project.telemetry(
        1, name="v2", correlation_id=ids, model_version=["v2"] * 2000, score=SCORES[:2000],
        event_time=[noon(1)] * 2000, x=np.zeros(2000), colour=["red"] * 2000, deployment=["shadow"] * 2000,
    )  # fmt: skip
    project.run(1, 2, until="label_cohorts")
    kept = sampled("d1", 0.1, 2000).sum()
    assert project.rows("select sum(row_count)::bigint from shadow_profile") == [(kept,)]
    assert project.rows("select sum(positive_count + negative_count)::bigint from shadow_cohorts") == [(kept,)]
