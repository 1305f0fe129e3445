"""A failing day, version, statistic or input costs only its own rows, is named, and is tried again."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from data import day, noon, write_day
from effort import examples
from hypothesis import HealthCheck, example, given, settings
from project import ROWS, Project, outcomes

from driftlake.alerts import rules, slos
from driftlake.drift import comparison
from driftlake.drift.bucket_history import Profiles
from driftlake.errors import WarehouseError
from driftlake.lake import schema
from driftlake.lake.runs import incomplete_between
from driftlake.lake.warehouse import Warehouse
from driftlake.maths import drift_statistics
from driftlake.quality import levels
from driftlake.report.pages import render_day, render_index
from driftlake.training.registration import register_folder

SHORT = {"windows_days": [1]}
RULES = [
    {"name": "drift", "signal": "feature_drift.psi", "window_days": 1, "warn": 0.0001, "critical": 9},
    {"name": "gone", "signal": "feature_drift.missing_rate_change", "window_days": 1, "warn": 0.5, "critical": 0.9},
]
OF_BOTH = {"model_version": ["v1", "v2"] * (ROWS // 2)}
LAST = 3


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Three processed days of two versions, with an open alert of each rule."""
    project = Project(
        tmp_path_factory.mktemp("pristine") / "project",
        drift=SHORT | {"minimum_rows": 100},
        quality=SHORT | {"calibration_days": 1},
        labels={"path": "labels", "horizon_days": 1},
        alerts=RULES,
        contracts={"enabled": False},
    )
    project.register("v2", training_run_id="run-2")
    for number in range(1, LAST + 1):
        project.telemetry(number, **OF_BOTH, x=[None] * 200 + [9.0] * (ROWS - 200))
    project.run(1, LAST)
    shutil.copytree(project.root, project.root.with_name("copy"))
    return project


@pytest.fixture
def project(pristine: Project) -> Project:
    shutil.rmtree(pristine.root)
    shutil.copytree(pristine.root.with_name("copy"), pristine.root)
    return copy.copy(pristine)


def failing(function: Callable[..., Any], on: Callable[..., bool]) -> Callable[..., Any]:
    """The function, which fails for some arguments."""

    def changed(*arguments: Any, **named: Any) -> Any:
        if on(*arguments, **named):
            raise ValueError("a bug\nof two lines")
        return function(*arguments, **named)

    return changed


def fail_versions(monkeypatch: pytest.MonkeyPatch, *names: str, on: int | None = None) -> None:
    def is_among(profiles: Profiles, _groups: Any, _settings: Any, days: Sequence[date]) -> bool:
        return any(("credit", name) in profiles.versions for name in names) and (on is None or day(on) in days)

    monkeypatch.setattr(comparison, "compare_windows", failing(comparison.compare_windows, is_among))


DRIFT_ROWS = "select dt, model_version, statistic, feature, value from feature_drift where {} order by all"


def test_a_failing_version_loses_only_its_rows_of_the_day(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    before = project.contents()
    project.telemetry(2, **OF_BOTH)
    project.run(2, 2, until="label_cohorts")
    fail_versions(monkeypatch, "v1", on=2)
    found = project.run(1, LAST, until="drift")[-1]
    assert outcomes(found) == {day(1): "complete", day(2): "partial", day(3): "complete"}
    assert [(run.reason, run.input_fingerprint) for run in found.refused] == [
        ("credit v1 is left out: ValueError: a bug", None)
    ]
    assert "of two lines" in found.failures[0].trace
    # the old rows of the version on the day stand, those of the other are new
    stored = project.contents("feature_drift")["feature_drift"]
    kept = [row for row in before["feature_drift"] if row[:3] == (day(2), "credit", "v1")]
    assert kept
    assert [row for row in stored if row[:3] == (day(2), "credit", "v1")] == kept
    assert [row for row in stored if row[:3] == (day(2), "credit", "v2")] != [
        row for row in before["feature_drift"] if row[:3] == (day(2), "credit", "v2")
    ]
    assert [row for row in stored if row[0] != day(2)] == [row for row in before["feature_drift"] if row[0] != day(2)]


def test_only_failed_parts_are_tried_again(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = project.contents("feature_drift")
    with monkeypatch.context() as patched:
        fail_versions(patched, "v1", "v2", on=2)
        failed = project.run(1, LAST, until="drift", is_forced=True)[-1]
    # without any version nothing fails, but nothing is computed either
    assert outcomes(failed)[day(2)] == "failed"
    assert project.contents("feature_drift") == whole
    again = project.run(1, LAST, until="drift")[-1]
    assert outcomes(again) == dict.fromkeys(outcomes(again), "complete")
    assert day(2) not in again.unchanged
    assert day(1) in again.unchanged
    assert project.contents("feature_drift") == whole


def test_a_day_that_fails_whatever_is_left_out_keeps_its_rows_and_is_not_judged(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = project.contents()
    monkeypatch.setattr(levels, "measure", failing(levels.measure, lambda *_: True))
    monkeypatch.setattr(rules, "with_messages", failing(rules.with_messages, lambda *_: True))
    reports = project.run(LAST, LAST, is_forced=True)
    assert {report.stage: set(outcomes(report).values()) for report in reports if report.failures} == {
        "drift": {"failed"},
        "alerts": {"failed"},
    }
    changed = {table for table, rows in project.contents().items() if rows != whole[table]}
    assert changed <= {"input_files", "contract_checks"}
    with Warehouse.open(project.settings, read_only=True) as warehouse:
        reported = incomplete_between(warehouse, day(1), day(LAST))
        newest = warehouse.sql("from newest_alert_day")["dt"].to_pylist()
        page = render_day(warehouse, project.settings, day(LAST)).read_text()
        index = render_index(warehouse, project.settings).read_text()
    assert [(run["stage"], run["outcome"], run["reason"]) for run in reported] == [
        ("alerts", "failed", "ValueError: a bug"),
        ("drift", "failed", "ValueError: a bug"),
    ]
    # the failed run of the alerts is not in force; the one before it is
    assert newest == [day(LAST)]
    assert "Stage drift failed: ValueError: a bug." in page
    assert "not judged" in index


def test_a_failing_statistic_loses_only_its_own_rows(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    psi = drift_statistics.STATISTICS["psi"]
    broken = replace(psi, compare=failing(psi.compare, lambda *_: True))
    monkeypatch.setitem(drift_statistics.STATISTICS, "psi", broken)
    whole = project.contents("feature_drift", "prediction_drift")
    found = project.run(1, LAST, until="drift", is_forced=True)[-1]
    assert {run.reason for run in found.runs} == {"statistic psi is left out: ValueError: a bug"}
    # also those of psi: they are from the run before
    assert project.contents("feature_drift", "prediction_drift") == whole


def test_an_incident_of_a_rule_that_cannot_be_evaluated_stays_open(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.telemetry(LAST + 1, **OF_BOTH, x=[None] * 200 + [9.0] * (ROWS - 200))
    fired = rules.fired
    monkeypatch.setattr(rules, "fired", failing(fired, lambda _, rules, **__: "gone" in {rule.name for rule in rules}))
    [*_, alerts] = project.run(LAST + 1, LAST + 1)
    assert {run.reason for run in alerts.runs} == {"rule gone is left out: ValueError: a bug"}
    states = "select rule, state, count(*) from alerts where dt = ? group by all order by all"
    assert {row[:2] for row in project.rows(states, day(LAST + 1))} == {("drift", "ongoing"), ("gone", "ongoing")}
    assert project.rows("select distinct state from incidents where dt = ?", day(LAST + 1)) == [("ongoing",)]
    [message] = {row[0] for row in project.rows(
        "select distinct message from alerts where rule = 'gone' and dt = ? and model_version = 'v1'", day(LAST + 1)
    )}  # fmt: skip
    assert message.endswith(f", since {day(1)} ({LAST + 1} days); no value after {day(LAST)}")


def test_a_failing_objective_loses_only_its_own_rows(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.configure(
        slos=[{"name": name, "sli": "completeness", "objective": share} for name, share in (("a", 0.5), ("b", 0.9))]
    )
    monkeypatch.setattr(
        slos,
        "measure",
        failing(slos.measure, lambda _, settings, **__: "b" in {slo.name for slo in settings.slos}),
    )
    project.run(LAST, LAST, until="slos")
    assert project.rows("select distinct slo from slo_status") == [("a",)]


def test_a_failure_of_every_day_is_raised_at_once(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[object] = []

    def away(*arguments: Any) -> Any:
        tried.append(arguments)
        raise WarehouseError("the catalog is away")

    monkeypatch.setattr(comparison, "compare_windows", away)
    with pytest.raises(WarehouseError, match="the catalog is away"):
        project.run(1, LAST, is_forced=True)
    assert len(tried) == 1


def test_a_day_whose_rows_do_not_fit_their_table_fails_alone(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    compare = comparison.compare_windows

    def without_outcome(*arguments: Any) -> tuple[pa.Table, pa.Table]:
        features, scores = compare(*arguments)
        is_bad = [
            row["dt"] == day(2) and row["model_version"] == "v1" for row in features.select(["dt", "model_version"]).to_pylist()
        ]  # fmt: skip
        kept = [None if bad else outcome for bad, outcome in zip(is_bad, features["outcome"].to_pylist(), strict=True)]
        place = features.schema.get_field_index("outcome")
        return features.set_column(place, "outcome", pa.array(kept, pa.string())), scores

    whole = project.contents("feature_drift")
    monkeypatch.setattr(comparison, "compare_windows", without_outcome)
    found = project.run(1, LAST, until="drift", is_forced=True)[-1]
    assert outcomes(found) == {day(1): "complete", day(2): "partial", day(3): "complete"}
    assert str(found.refused[0].reason).startswith("credit v1 is left out: ConstraintException: ")
    assert project.contents("feature_drift") == whole


# One input of one of two models is mutated; the tables of the other, and of the day before, must not change.


@pytest.fixture(scope="module")
def two_models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Mapping[str, Any]]:
    """A project with a file a day for each of two models, and the rows that its two days give.

    Beside it lie copies of it as it was before its versions were registered, and before its second day.
    """
    project = Project(
        tmp_path_factory.mktemp("two") / "project",
        drift=SHORT,
        quality=SHORT | {"calibration_days": 1},
        alerts=RULES,
        labels={"path": "labels", "horizon_days": 1},
        contracts={"enabled": False, "largest_quarantined_share": 0.95},
    )
    lineage = project.root / "lineage" / "credit-v1.yaml"
    shutil.copy(project.root / "training.parquet", project.root / "churn.parquet")
    churn = {"model_id": "churn", "training_dataset_id": "data-2", "training_data": "../churn.parquet"}
    lineage.with_name("churn-v1.yaml").write_text(yaml.safe_dump(yaml.safe_load(lineage.read_text()) | churn))
    for number in (1, 2):
        for model in ("credit", "churn"):
            ids = [f"{model}{number}-{row}" for row in range(ROWS)]
            project.telemetry(number, name=model, model_id=[model] * ROWS, correlation_id=ids)
            labels = {"correlation_id": ids, "label": [row % 2 for row in range(ROWS)]}
            write_day(project.root / "labels", number, labels, name=model)
    shutil.rmtree(project.root / "warehouse")
    shutil.copytree(project.root, project.root.with_name("unregistered"))
    register_what_can_be(project)
    project.run(1, 1)
    shutil.copytree(project.root, project.root.with_name("registered"))
    project.run(2, 2)
    return project.root, rows_of_models(project)


def register_what_can_be(project: Project) -> None:
    with Warehouse.open(project.settings) as warehouse:
        register_folder(warehouse, project.settings)


def rows_of_models(project: Project) -> Mapping[str, Any]:
    """The tables that say which model a row is about."""
    names = [
        table.name
        for table in schema.tables()
        if table.name != "training_runs" and "model_id" in {column.name for column in table.columns}
    ]
    return project.contents(*names)


def about(contents: Mapping[str, Any], model: str, last_day: date) -> Mapping[str, Any]:
    return {
        table: [row for row in rows if model in row and (not isinstance(row[0], date) or row[0] <= last_day)]
        for table, rows in contents.items()
    }


ODD_COLUMNS: Sequence[Any] = (
    [1] * ROWS,
    ["\x00\x1b\u202e'\"; drop table alerts; --"] * ROWS,
    [float("inf"), float("nan"), -0.0] * (ROWS // 3),
    pa.nulls(ROWS),
    [[1.0]] * ROWS,
    [{"a": 1}] * ROWS,
    [b"\xff\xfe"] * ROWS,
    pa.array([noon(2)] * ROWS),
    pa.array([10**37] * ROWS, pa.decimal128(38)),
    pa.DictionaryArray.from_arrays([0] * ROWS, ["red"]),
    None,
)
columns = st.tuples(
    st.just("column"),
    st.sampled_from(["x", "colour", "score", "correlation_id", "event_time", "model_id", "model_version", "new\x1b"]),
    st.integers(0, len(ODD_COLUMNS) - 1),
)
damage = st.tuples(
    st.just("bytes"), st.sampled_from(["telemetry", "labels", "training"]), st.floats(0, 1), st.binary(min_size=1, max_size=40)
)  # fmt: skip
lines = st.tuples(
    st.just("lineage"),
    st.sampled_from(
        [
            "released_at: 2026-02-30",
            "training_data: http://nowhere.invalid/training.parquet",
            f"quantile: {'9' * 5000}",
            f"classes: {'[' * 5000}",
            "target: \x00",
            "feature_importance: &a {x: *a}",
            "features: [x, colour, nothing]",
            "- a list",
        ]
    ),
)


@settings(
    max_examples=examples(4),
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@example(mutation=("bytes", "telemetry", 1.0, b"\xff" * 12))
@example(mutation=("lineage", "released_at: 2026-02-30"))
@given(mutation=st.one_of(columns, damage, lines))
def test_a_mutated_input_of_one_model_changes_no_row_of_another_or_of_the_day_before(
    two_models: tuple[Path, Mapping[str, Any]], pristine: Project, mutation: tuple[Any, ...]
) -> None:
    root, whole = two_models
    is_of_days = mutation[0] == "column" or mutation[1] in {"telemetry", "labels"}
    shutil.rmtree(root)
    shutil.copytree(root.with_name("registered" if is_of_days else "unregistered"), root)
    two = copy.copy(pristine)
    two.root = root
    two.configure()
    mutate(root, mutation)
    if not is_of_days:
        register_what_can_be(two)
    two.run(2 if is_of_days else 1, 2)
    found = rows_of_models(two)
    assert about(found, "churn", day(2)) == about(whole, "churn", day(2))
    if is_of_days:
        assert about(found, "credit", day(1)) == about(whole, "credit", day(1))


def mutate(root: Path, mutation: tuple[Any, ...]) -> None:
    telemetry = root / "telemetry" / f"dt={day(2)}" / "credit.parquet"
    match mutation:
        case "column", name, number:
            table, values = pq.read_table(telemetry, partitioning=None), ODD_COLUMNS[number]
            table = table.drop_columns([name]) if name in table.column_names else table
            pq.write_table(table if values is None else table.append_column(name, pa.array(values)), telemetry)
        case "bytes", source, place, noise:
            training = root / "training.parquet"
            paths = {"telemetry": telemetry, "labels": root / "labels" / telemetry.parent.name / telemetry.name}
            path = paths.get(source, training)
            content = bytearray(path.read_bytes())
            start = int(place * (len(content) - len(noise)))
            content[start : start + len(noise)] = noise
            path.write_bytes(content)
        case "lineage", line:
            path = root / "lineage" / "credit-v1.yaml"
            kept = [each for each in path.read_text().splitlines() if not each.startswith(line.partition(":")[0])]
            path.write_text("\n".join([*kept, line]))
