"""A day is worked on again when something it rests on changed, and only then."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pyarrow.parquet as pq
import pytest
from data import day, write_day
from effort import examples
from hypothesis import HealthCheck, example, given, settings
from project import ROWS, STAGES, Project, break_pages, kept, outcomes, restored, truncate

from driftlake.lake.warehouse import Warehouse
from driftlake.nightly import stages
from driftlake.nightly.stage_report import StageReport
from driftlake.nightly.stages import new_context
from driftlake.quality import performance

SHORT = {"windows_days": [1, 2]}
WHOLE = {"name": "whole", "sli": "completeness", "objective": 0.9}
LAST = 6


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Six days of a project that looks back little: windows of two days, labels of yesterday, a third of them lacking."""
    project = small_project(tmp_path_factory.mktemp("pristine") / "project")
    for number in range(1, LAST + 1):
        project.telemetry(number)
        labelled = range(ROWS * 2 // 3)
        ids = [f"d{number}-{row}" for row in labelled]
        project.labels(number, correlation_id=ids, label=[row % 2 for row in labelled])
    project.run(1, LAST)
    return kept(project)


@pytest.fixture
def project(pristine: Project) -> Project:
    return restored(pristine)


def small_project(root: Path) -> Project:
    labels = {"path": "labels", "horizon_days": 1}
    return Project(
        root, drift=SHORT, quality=SHORT | {"calibration_days": 1}, labels=labels, alerts=[rule(warn=0.1)], slos=[WHOLE]
    )


def rule(*, warn: float) -> dict[str, Any]:
    return {"name": "drift", "signal": "feature_drift.psi", "window_days": 2, "warn": warn, "critical": 9}


def worked_on(reports: Sequence[StageReport]) -> dict[str, set[int]]:
    """Numbers of the days that each stage worked on; a stage that did not is left out."""
    numbers = {
        report.stage: {(run.dt - day(0)).days for run in report.runs if run.dt not in report.unchanged}
        for report in reports
    }
    return {stage: days for stage, days in numbers.items() if days}


EVERY_DAY = set(range(1, LAST + 1))
EVERYTHING = dict.fromkeys(STAGES, EVERY_DAY)


def snapshot(project: Project) -> list[tuple[Any, ...]]:
    return project.rows("from ducklake_current_snapshot('lake')")


def test_the_same_inputs_make_no_new_snapshot(project: Project) -> None:
    before = snapshot(project)
    assert worked_on(project.run(1, LAST)) == {}
    assert snapshot(project) == before


def test_a_forced_run_works_on_every_day(project: Project) -> None:
    assert worked_on(project.run(1, LAST, is_forced=True)) == EVERYTHING


def test_changed_telemetry_is_worked_on_with_everything_that_looks_at_its_day(project: Project) -> None:
    project.telemetry(2, score=[0.5] * ROWS)
    assert worked_on(project.run(1, LAST)) == {
        "profiles": {2},
        # labels of predictions up to a day old, and which of them a label of the week before is about
        "label_cohorts": {2, 3, 4, 5, 6},
        # windows of two days
        "drift": {2, 3},
        # labels that became known until then
        "model_quality": {2, 3, 4, 5, 6},
        # within four weeks
        "slos": {2, 3, 4, 5, 6},
        # since when
        "alerts": {2, 3, 4, 5, 6},
    }


def test_changed_labels_leave_profiles_and_drift_alone(project: Project) -> None:
    project.labels(4, label=[1] * ROWS)
    assert worked_on(project.run(1, LAST)) == {
        "label_cohorts": {4, 5, 6},
        "model_quality": {4, 5, 6},
        "slos": {4, 5, 6},
        "alerts": {4, 5, 6},
    }


def test_the_same_size_and_footer_over_other_bytes_is_a_change(project: Project) -> None:
    path = project.root / "telemetry" / f"dt={day(3)}" / "part-0.parquet"
    size = path.stat().st_size
    break_pages(path)
    assert path.stat().st_size == size
    assert worked_on(project.run(1, LAST, until="profiles"))["profiles"] == {3}


DERIVED = ("drift", "model_quality", "slos", "alerts")
KEY_OF_USERS = {"id": "k", "env": "KEY", "valid_from": day(1)}


@pytest.mark.parametrize(
    ("sections", "expected"),
    [
        ({"reports": {"path": "elsewhere"}, "compute": {"threads": 2, "rows_per_chunk": 1}}, ()),
        ({"alerts": [rule(warn=0.2)]}, ("alerts",)),
        ({"quality": {**SHORT, "minimum_labels_per_class": 5}}, ("model_quality", "slos", "alerts")),
        ({"drift": {**SHORT, "minimum_rows": 50}}, DERIVED),
        ({"drift": {**SHORT, "multivariate": {"sample_rows": 100}}}, ("profiles", *DERIVED)),
        ({"labels": {"path": "labels", "horizon_days": 2}}, ("label_cohorts", "model_quality", "slos", "alerts")),
        ({"contracts": {"enabled": False}}, tuple(STAGES)),
        ({"pseudonyms": {"column": "user", "keys": [KEY_OF_USERS]}}, ("profiles", *DERIVED)),
        ({"telemetry": {"path": "telemetry", "columns": {"latency_ms": "took"}}}, tuple(STAGES)),
    ],
)
def test_a_setting_changes_the_stages_that_read_it_and_those_after_them(
    project: Project, sections: Mapping[str, Any], expected: Sequence[str]
) -> None:
    project.configure(**sections)
    assert worked_on(project.run(1, LAST)) == dict.fromkeys(expected, EVERY_DAY)


def test_a_new_version_may_own_rows_of_any_day(project: Project) -> None:
    project.register("v2")
    assert worked_on(project.run(1, LAST)) == EVERYTHING


def test_an_edited_formula_changes_everything(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "alerts.sql"
    file.write_text("select 1")
    monkeypatch.setattr(stages, "sources", lambda _: [("sql/alerts/alerts.sql", file)])
    monkeypatch.setattr(stages, "code_version", stages.code_version.__wrapped__)
    assert worked_on(project.run(1, LAST)) == EVERYTHING
    assert worked_on(project.run(1, LAST)) == {}
    file.write_text("select 2")
    assert worked_on(project.run(1, LAST)) == EVERYTHING


def without_model_version(project: Project) -> None:
    project.telemetry(2, model_version=None)


def remove(project: Project) -> None:
    (project.root / "telemetry" / f"dt={day(2)}" / "part-0.parquet").unlink()


def feature_lacks(project: Project) -> None:
    project.telemetry(2, x=None)


@pytest.mark.parametrize(
    ("spoil", "outcome"), [(without_model_version, "refused"), (feature_lacks, "partial"), (remove, "missing")]
)
def test_a_day_that_went_wrong_is_reported_again_without_work(
    project: Project, spoil: Callable[[Project], None], outcome: str
) -> None:
    spoil(project)
    first, *_ = project.run(1, LAST)
    assert outcomes(first)[day(2)] == outcome
    again, *others = project.run(1, LAST)
    assert worked_on([again, *others]) == {}
    assert again.runs == first.runs
    assert again.failed_checks == first.failed_checks
    assert again.refused == first.refused


@pytest.mark.parametrize(("folder", "stage"), [("telemetry", "profiles"), ("labels", "label_cohorts")])
def test_rows_that_could_not_be_read_are_tried_again(project: Project, folder: str, stage: str) -> None:
    break_pages(project.root / folder / f"dt={day(2)}" / "part-0.parquet")
    project.run(1, LAST, until=stage)
    assert 2 in worked_on(project.run(1, LAST, until=stage))[stage]


def test_after_a_crash_between_stages_the_later_ones_catch_up(project: Project) -> None:
    project.telemetry(2, score=[0.5] * ROWS)
    project.run(1, LAST, until="profiles")
    assert worked_on(project.run(1, LAST)) == {
        "label_cohorts": {2, 3, 4, 5, 6},
        "drift": {2, 3},
        "model_quality": {2, 3, 4, 5, 6},
        "slos": {2, 3, 4, 5, 6},
        "alerts": {2, 3, 4, 5, 6},
    }


def test_a_day_refused_as_before_may_keep_other_rows_than_before(project: Project) -> None:
    path = project.telemetry(2, model_version=None)
    project.run(1, LAST, until="drift")
    refused = path.rename(path.with_suffix(".kept"))
    project.telemetry(2, x=[9.0] * ROWS)
    project.run(1, LAST, until="profiles")
    refused.rename(path)
    assert worked_on(project.run(1, LAST, until="drift"))["drift"] == {2, 3}


TABLES_OF = {
    "profiles": (
        "feature_profile",
        "feature_stats",
        "prediction_profile",
        "class_profile",
        "shadow_profile",
        "shadow_differences",
        "service_profile",
        "service_levels",
    ),
    "label_cohorts": ("label_cohorts", "shadow_cohorts", "label_arrivals"),
}


@pytest.mark.parametrize("stage", [stages.DRIFT, stages.MODEL_QUALITY], ids=lambda stage: stage.name)
def test_what_a_stage_does_not_say_it_reads_changes_no_row(
    project: Project, stage: stages.Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    # the nights of performance look back further than the history of this project is long
    for module in (stages, performance):
        monkeypatch.setattr(module, "LOOK_BACK_DAYS", 2)
    before = project.contents()
    reads = stage.reads(project.settings)
    with Warehouse.open(project.settings) as warehouse:
        for source, tables in TABLES_OF.items():
            first_read = day(LAST - reads[source]) if source in reads else day(LAST + 1)
            for table in tables:
                warehouse.connection.execute(f"delete from {table} where dt < ?", [first_read])
        context = new_context(project.settings, "test", is_forced=True)
        STAGES[stage.name](warehouse, project.settings, context, [day(LAST)])
    after = project.contents()
    assert after["prediction_profile"] != before["prediction_profile"]
    for table in ("feature_drift", "prediction_drift", "segment_shift", "model_quality", "label_backlog"):
        assert after[table] == before[table], table


# What may happen between two runs, each with the day it happens to.
DAYS = st.integers(1, LAST)
EVENTS: Mapping[str, Callable[[Project, int], object]] = {
    "telemetry": lambda project, n: project.telemetry(n, x=[n / 2] * ROWS),
    "telemetry again": lambda project, n: project.telemetry(n),
    "telemetry twice": lambda project, n: project.telemetry(n, name="part-1"),
    "another version": lambda project, n: project.telemetry(n, model_version=["v1"] * 200 + ["v2"] * 100),
    "version registered": lambda project, _: project.register("v2"),
    "no model version": lambda project, n: project.telemetry(n, model_version=None),
    "no feature": lambda project, n: project.telemetry(n, x=None),
    "another column": lambda project, n: project.telemetry(n, extra=["x"] * ROWS),
    "no rows": lambda project, n: write_day(
        project.root / "telemetry", n, pq.read_table(project.telemetry(n)).slice(0, 0)
    ),
    "labels": lambda project, n: project.labels(n),
    "labels of day 1": lambda project, n: project.labels(n, predicted=1),
    "labels of the last day": lambda project, n: project.labels(n, predicted=LAST),
    "truncated": lambda project, n: damage(project, "telemetry", n, truncate),
    "broken": lambda project, n: damage(project, "telemetry", n, break_pages),
    "removed": lambda project, n: damage(project, "telemetry", n, Path.unlink),
    "labels truncated": lambda project, n: damage(project, "labels", n, truncate),
    "labels broken": lambda project, n: damage(project, "labels", n, break_pages),
    "labels removed": lambda project, n: damage(project, "labels", n, Path.unlink),
    "windows": lambda project, n: project.configure(drift={"windows_days": [1, n + 1]}, alerts=None),
    "quality": lambda project, n: project.configure(quality={"windows_days": [n], "calibration_days": n}, alerts=None),
    "horizon": lambda project, n: project.configure(labels={"path": "labels", "horizon_days": n}),
    "run of a day": lambda project, n: project.run(n, n),
    "run of some days": lambda project, n: project.run(1, n),
    "crash after profiles": lambda project, n: project.run(n, LAST, until="profiles"),
    "crash after labels": lambda project, n: project.run(1, n, until="label_cohorts"),
    "references": lambda project, _: project.configure(drift={**SHORT, "references": ["preceding", "training"]}),
    "two threads": lambda project, _: project.configure(compute={"threads": 2}),
    "segments": lambda project, _: project.configure(telemetry={"path": "telemetry", "segments": ["colour"]}),
    "crash after drift": lambda project, n: project.run(n, n, until="drift"),
}


def damage(project: Project, folder: str, number: int, how: Callable[[Path], object]) -> None:
    path = project.root / folder / f"dt={day(number)}" / "part-0.parquet"
    if path.exists() and path.stat().st_size > 2000:
        how(path)


# an example costs two runs however much happens before them, so much does; in the simplest, which comes first, one thing
# happens to one day again and again
@settings(max_examples=examples(1), suppress_health_check=[HealthCheck.too_slow])
@given(
    events=st.lists(st.tuples(st.sampled_from(sorted(EVENTS)), DAYS), min_size=8, max_size=14).filter(
        lambda events: len({number for _, number in events}) > 2
    )
)
# one window at a time or many: the last digits of sums over bins were others
@example(events=[("quality", 1), ("another column", 1), ("run of some days", 1), ("two threads", 1)])
def test_whatever_happens_an_ordinary_run_gives_the_rows_of_a_forced_one(
    pristine: Project, events: Sequence[tuple[str, int]]
) -> None:
    project = restored(pristine)
    for name, number in events:
        EVENTS[name](project, number)
    ordinary, ordinary_rows = project.run(1, LAST), project.contents()
    forced, forced_rows = project.run(1, LAST, is_forced=True), project.contents()
    assert ordinary_rows == forced_rows
    for ordinary_run, forced_run in zip(ordinary, forced, strict=True):
        assert outcomes(ordinary_run) == outcomes(forced_run)
        assert ordinary_run.failed_checks == forced_run.failed_checks
