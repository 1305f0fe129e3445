"""Learning bins again replaces the old bins and everything that was counted in them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from data import day
from project import Project

from driftlake.errors import InputError, LineageConflictError
from driftlake.lake.warehouse import Warehouse
from driftlake.training.relearning import Relearned, relearn

AGES = np.minimum(np.random.default_rng(1).gamma(3, 13, 2000).astype(int), 94).astype(float)
# Tables whose rows depend on bins.
TABLES = ("feature_bins", "feature_profile", "feature_stats", "feature_drift", "reference_profile", "reference_stats")


def telemetry(project: Project) -> Project:
    for number in (1, 2, 3):
        project.telemetry(number, x=np.random.default_rng(number).choice(AGES, 300))
    project.run(1, 3, until="drift")
    return project


def relearned(project: Project, model_version: str = "v1", **how: bool) -> Relearned:
    with Warehouse.open(project.settings) as warehouse:
        return relearn(warehouse, project.settings, "credit", model_version, **how)


@pytest.fixture(scope="module")
def with_full_bins(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project whose version has full bins from the beginning."""
    return telemetry(Project(tmp_path_factory.mktemp("with_full_bins") / "project", training={"x": AGES}))


@pytest.fixture
def coarse(tmp_path: Path) -> Project:
    """A project with three days; its version was registered with ten bins and would now get a bin for each age."""
    project = Project(tmp_path / "project", training={"x": AGES}, drift={"other_features_bins": 10})
    project.configure(drift={})
    return telemetry(project)


def test_a_backfill_after_bins_were_learned_again_gives_what_a_version_with_these_bins_has(
    coarse: Project, with_full_bins: Project
) -> None:
    found = relearned(coarse)
    assert (found.changed, found.days, found.days_without_telemetry) == (["x"], [day(1), day(2), day(3)], [])
    coarse.run(1, 3, until="drift")
    assert coarse.contents(*TABLES) == with_full_bins.contents(*TABLES)
    assert relearned(coarse).changed == []


def test_a_window_holds_no_day_that_was_counted_in_the_former_bins(coarse: Project) -> None:
    relearned(coarse)
    coarse.run(3, 3, until="drift")
    assert coarse.rows("select distinct dt from feature_profile") == [(day(3),)]
    windows = "select distinct current_day_count from feature_drift where dt = ? and feature = 'x' and window_days = 7"
    assert coarse.rows(windows, day(3)) == [(1,)]


def test_a_dry_run_changes_nothing(coarse: Project) -> None:
    before = coarse.contents()
    assert relearned(coarse, is_dry_run=True).changed == ["x"]
    assert coarse.contents() == before


def test_counts_of_days_without_telemetry_are_dropped_only_if_asked_for(coarse: Project) -> None:
    for file in (coarse.root / "telemetry" / f"dt={day(1)}").iterdir():
        file.unlink()
    (coarse.root / "telemetry" / f"dt={day(1)}").rmdir()
    with pytest.raises(InputError, match="1 of 3 stored days no longer have telemetry"):
        relearned(coarse)
    assert relearned(coarse, is_dropping=True).days_without_telemetry == [day(1)]


def test_counts_of_other_versions_stay(coarse: Project) -> None:
    coarse.register("v2", training_run_id="run-2")
    coarse.telemetry(3, name="part-1", model_version=["v2"] * 300, correlation_id=[f"v2-{row}" for row in range(300)])
    coarse.run(3, 3, until="profiles")
    query = "from feature_profile where model_version = 'v2' order by all"
    before = coarse.rows(query)
    relearned(coarse)
    assert before
    assert coarse.rows(query) == before


def test_training_data_other_than_the_registered_is_refused(coarse: Project) -> None:
    path = coarse.root / "training.parquet"
    pq.write_table(pq.read_table(path).slice(1), path)
    with pytest.raises(LineageConflictError, match="was registered with fingerprint"):
        relearned(coarse)


def test_a_version_that_is_not_registered_is_named(with_full_bins: Project) -> None:
    with pytest.raises(InputError, match="credit v9 is not registered"):
        relearned(with_full_bins, "v9")
