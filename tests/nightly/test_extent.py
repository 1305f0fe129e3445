"""Passes of days and pieces of groups limit the memory and change no row."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pytest
from data import day
from project import ROWS, Project, kept, restored

from driftlake.nightly import extent
from driftlake.nightly.drift_passes import Comparisons
from driftlake.nightly.extent import passes, pieces

DAYS = [day(number) for number in range(1, 6)]


def test_days_are_halved_until_they_fit() -> None:
    assert passes(DAYS, lambda some: len(some) <= 2) == [DAYS[:2], DAYS[2:3], DAYS[3:]]


def test_days_that_fit_are_one_pass() -> None:
    assert passes(DAYS, lambda _: True) == [DAYS]


def test_a_day_that_does_not_fit_is_a_pass() -> None:
    assert passes(DAYS[:2], lambda _: False) == [DAYS[:1], DAYS[1:2]]


def test_pieces_hold_what_fits_and_a_larger_one_is_alone() -> None:
    assert pieces({"a": 2, "b": 2, "c": 9, "d": 4}, 4) == [["a", "b"], ["c"], ["d"]]


def test_small_passes_in_pieces_find_the_rows_of_one_pass(counted: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Segments that shifted, references of every kind, samples, pairs, importance and labels among them."""
    project = restored(counted)
    project.run(1, 6)
    whole = project.contents()
    assert all(whole[name] for name in ("segment_shift", "importance_drift", "multivariate_drift", "model_quality"))
    assert committed(project, "drift") == committed(project, "model_quality") == 1
    # a few hundred rows at once, so that no two days and no two segments fit
    monkeypatch.setattr(extent, "_BYTES_OF_ROW", 10**7)
    project.run(1, 6, is_forced=True, since="drift")
    assert committed(project, "drift") == committed(project, "model_quality") == 1 + 6
    assert project.contents() == whole


def test_rows_of_a_pass_stay_if_the_next_one_fails(counted: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project = restored(counted)
    monkeypatch.setattr(extent, "_BYTES_OF_ROW", 10**7)
    compare = Comparisons.of_profiles

    def killed(comparisons: Comparisons, days: list[date]) -> Any:
        if day(4) in days:
            raise KeyboardInterrupt
        return compare(comparisons, days)

    monkeypatch.setattr(Comparisons, "of_profiles", killed)
    with pytest.raises(KeyboardInterrupt):
        project.run(1, 6, until="drift")
    assert project.rows("select distinct dt from feature_drift order by dt") == [(day(1),), (day(2),), (day(3),)]


def committed(project: Project, stage: str) -> int:
    """Commits of a stage."""
    return int(project.rows("select count(distinct snapshot_id) from partition_runs where stage = ?", stage)[0][0])


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Six days of two versions in three places, where `x` moves in one of them on day 4, and their labels, counted."""
    project = Project(
        tmp_path_factory.mktemp("counted") / "project",
        training={"place": np.random.default_rng(1).choice(["a", "b", "c"], 2000)},
        telemetry={"path": "telemetry", "segments": ["place"], "shap": {"column": "shap"}},
        models={"credit": {"pairs": [["x", "colour"]]}},
        drift={
            "windows_days": [1, 3],
            "minimum_rows": 30,
            "minimum_days_share": 0.3,
            "references": ["training", "preceding", {"name": "champion", "model_version": "v1"}],
            "multivariate": {"sample_rows": 40},
        },
        quality={"windows_days": [1, 3], "minimum_labels_per_class": 10},
    )
    project.register("v2")
    for number in range(1, 7):
        generator = np.random.default_rng(number)
        place = generator.choice(["a", "b", "c"], ROWS)
        x = generator.normal(size=ROWS) + 2 * ((place == "a") & (number >= 4))
        shap = [{"x": float(value), "colour": 0.1, "place": 0.2} for value in x]
        versions = generator.choice(["v1", "v2"], ROWS)
        project.telemetry(number, x=x, place=place, model_version=versions, shap=shap)
        project.labels(number)
    project.run(1, 6, until="label_cohorts")
    return kept(project)
