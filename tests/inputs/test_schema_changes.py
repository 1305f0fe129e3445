"""An added, lost, retyped or moved column is reported once, with its former state and the files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from data import GROUP, KEY, day, insert, model_version
from hypothesis import given
from hypothesis import strategies as st
from project import ROWS, Project, truncate

from driftlake.inputs.parquet_files import InputFile
from driftlake.inputs.partitions import Partition
from driftlake.inputs.schema_changes import SchemaChange, changes_between_days, changes_of_versions, type_name
from driftlake.lake.warehouse import Warehouse
from driftlake.maths.numeric_bins import learn_numeric_bins
from driftlake.nightly.stage_report import highlights_of
from driftlake.report.pages import render_day

INTEGER, NUMBER, TEXT = pa.int64(), pa.float64(), pa.string()
NARROW = {"id": TEXT, "x": NUMBER}


def partition(number: int, *files: Mapping[str, pa.DataType], row_counts: Sequence[int] = ()) -> Partition:
    """Files a, b, ... of `row_counts` rows each, or 10, with the given columns."""
    counts = row_counts or [10] * len(files)
    return Partition(
        day(number),
        tuple(
            InputFile(day(number), f"folder/{name}", 1, rows, columns, None, "c")
            for name, columns, rows in zip("abcdef", files, counts, strict=False)
        ),
    )


def since(before: Partition, now: Partition, features_column: str | None = None) -> list[SchemaChange]:
    ((day_changes),) = changes_between_days([now], {now.dt: before}, features_column)
    return list(day_changes.changes)


def of_version(now: Partition, *, paths: str = "abcdef", **settings: Any) -> list[SchemaChange]:
    """Changes of the version credit v1, whose predictions are in the files named, with the feature x."""
    bins = learn_numeric_bins("x", np.arange(100.0))
    version = replace(model_version([bins]), feature_types=settings.get("types", {"x": "double"}))
    held = {file.path: {KEY: file.row_count} for file in now.files if file.path[-1] in paths}
    return changes_of_versions(now, held, {KEY: version}, settings.get("features_column"))


def described(changes: Sequence[SchemaChange]) -> list[tuple[str, str, str, str | None, str | None]]:
    return [(c.comparison, c.column_name, c.change, c.expected, c.found) for c in changes]


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (NARROW, []),
        (NARROW | {"y": TEXT}, [("y", "added", None, "string")]),
        ({"id": TEXT}, [("x", "lost", "double", None)]),
        (NARROW | {"x": TEXT}, [("x", "retyped", "double", "string")]),
        ({"x": NUMBER, "id": TEXT}, [("x", "reordered", "2", "1")]),
        ({"y": TEXT, "x": INTEGER}, [("id", "lost", "string", None), ("x", "retyped", "double", "int64"),
                                     ("y", "added", None, "string")]),
    ],
)  # fmt: skip
def test_each_kind_of_change_is_reported_with_old_and_new(
    now: Mapping[str, pa.DataType], expected: list[tuple[str | None, ...]]
) -> None:
    assert [row[1:] for row in described(since(partition(1, NARROW), partition(2, now)))] == expected


@pytest.mark.parametrize("encoded", [pa.dictionary(pa.int8(), TEXT), pa.large_string(), pa.string_view()])
def test_another_encoding_of_the_same_values_is_the_same_type(encoded: pa.DataType) -> None:
    assert type_name(encoded) == "string"


def test_only_columns_that_moved_past_others_are_reordered() -> None:
    before, now = (partition(n, dict.fromkeys(names, TEXT)) for n, names in ((1, "abcdef"), (2, "bcXdaef")))
    assert [row[1:] for row in described(since(before, now)) if row[2] == "reordered"] == [("a", "reordered", "1", "4")]


@given(st.permutations("abcdef"))
def test_without_the_reordered_columns_the_order_is_unchanged(names: list[str]) -> None:
    before, now = (partition(n, dict.fromkeys(each, TEXT)) for n, each in ((1, "abcdef"), (2, names)))
    changes = since(before, now)
    moved = {change.column_name for change in changes}
    assert bool(changes) == (names != sorted(names))
    assert all(change.expected != change.found for change in changes)
    # a column may keep its position between columns that changed sides
    at_home = {name for name, home in zip(names, "abcdef", strict=True) if name == home}
    kept = [name for name in names if name not in moved | at_home]
    assert kept == sorted(kept)


def test_fields_of_the_features_struct_are_columns() -> None:
    before, now = (partition(n, {"id": TEXT, "f": pa.struct(fields)}) for n, fields in (
        (1, [("x", NUMBER), ("y", TEXT)]), (2, [("x", INTEGER), ("z", TEXT)])
    ))  # fmt: skip
    assert [row[1:] for row in described(since(before, now, "f"))] == [
        ("f.x", "retyped", "double", "int64"),
        ("f.y", "lost", "string", None),
        ("f.z", "added", None, "string"),
    ]
    assert described(of_version(now, features_column="f")) == [("training", "f.x", "retyped", "double", "int64")]


def test_a_column_in_one_file_of_the_day_was_not_lost_since_the_day_before() -> None:
    assert since(partition(1, NARROW), partition(2, NARROW, {"id": TEXT})) == []


def test_files_of_several_models_need_not_be_alike() -> None:
    other = {"id": TEXT, "y": TEXT}
    assert since(partition(1, NARROW, other), partition(2, other, NARROW)) == []
    assert of_version(partition(2, NARROW, other), paths="a") == []


def test_files_that_disagree_are_named_against_those_with_most_rows() -> None:
    now = partition(2, NARROW | {"x": TEXT}, NARROW, NARROW | {"x": TEXT}, row_counts=[20, 100, 30])
    within, training = of_version(now)
    assert described([within, training]) == [
        ("within_day", "x", "retyped", "double", "string"),
        ("training", "x", "retyped", "double", "string"),
    ]
    assert (within.file_count, within.row_count, within.paths) == (2, 50, ("folder/a", "folder/c"))
    assert within.message == (
        "column x of credit v1 is string in 2 of 3 files (a, c); in the files with most rows: double"
    )


def test_a_feature_is_lost_against_training_where_a_file_of_the_version_lacks_it() -> None:
    (change,) = of_version(partition(2, {"id": TEXT}))
    assert described([change]) == [("training", "x", "lost", "double", None)]
    assert change.paths is None
    assert change.message == "column x of credit v1 is missing; in training: double"


def test_without_a_known_training_type_only_a_lost_feature_is_reported() -> None:
    assert of_version(partition(2, NARROW | {"x": TEXT}), types={}) == []
    assert described(of_version(partition(2, {"id": TEXT}), types={})) == [("training", "x", "lost", None, None)]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "project")


STORED = "select day(dt), comparison, day(compared_on), column_name, change from schema_changes order by all"


def test_a_day_is_compared_with_the_last_earlier_one_that_could_be_used(project: Project) -> None:
    project.telemetry(1)
    truncate(project.telemetry(3))
    project.telemetry(4, extra=[1] * ROWS)
    project.run(1, 4, until="profiles")
    assert project.rows(STORED) == [(4, "day_before", 1, "extra", "added")]


def test_training_types_are_those_of_registration(project: Project) -> None:
    project.telemetry(1, x=[1] * ROWS)
    project.run(1, 1, until="profiles")
    assert project.rows(STORED) == [(1, "training", None, "x", "retyped")]


def test_the_next_day_is_processed_again_if_columns_change_but_not_rows(project: Project) -> None:
    for number in (1, 2, 3):
        project.telemetry(number)
    project.run(1, 3, until="profiles")
    project.telemetry(2, score=[0.5] * ROWS)
    assert set(project.run(1, 3, until="profiles")[0].unchanged) == {day(1), day(3)}
    project.telemetry(2, latency_ms=[5.0] * ROWS)
    assert set(project.run(1, 3, until="profiles")[0].unchanged) == {day(1)}
    assert project.rows(STORED) == [
        (2, "day_before", 1, "latency_ms", "added"),
        (3, "day_before", 2, "latency_ms", "lost"),
    ]


def test_days_in_any_order_and_again_give_the_same_rows(project: Project) -> None:
    project.telemetry(1)
    project.telemetry(2, x=None)
    project.telemetry(2, name="part-1", x=["1"] * ROWS)
    project.telemetry(3)
    for number in (3, 1, 2):
        project.run(number, number, until="profiles")
    rows = project.contents("schema_changes")["schema_changes"]
    project.run(1, 3, is_forced=True, until="profiles")
    assert project.contents("schema_changes")["schema_changes"] == rows
    assert {row[6] for row in rows} == {"lost", "added", "retyped"}


def test_a_refused_day_says_which_column_it_lost(project: Project) -> None:
    project.telemetry(1)
    project.telemetry(2, correlation_id=None)
    project.run(1, 2, until="profiles")
    assert project.rows(STORED) == [(2, "day_before", 1, "correlation_id", "lost")]


def test_each_lost_column_is_an_alert_with_the_number_lost_at_once(project: Project) -> None:
    project.telemetry(1, latency_ms=[5.0] * ROWS, extra=[1] * ROWS)
    project.telemetry(2)
    project.run(1, 2)
    alerts = project.rows("select day(dt), severity, value, message from alerts where rule = 'lost-columns' order by 4")
    assert alerts == [
        (2, "warn", 2.0, "column extra is missing; on 2024-03-01: int64, since 2024-03-02 (1 day)"),
        (2, "warn", 2.0, "column latency_ms is missing; on 2024-03-01: double, since 2024-03-02 (1 day)"),
    ]
    with Warehouse.open(project.settings, read_only=True) as warehouse:
        highlights = highlights_of(warehouse, project.settings, "profiles", [day(1), day(2)])
    assert highlights == {day(2): {"changed_columns": 2}}


def test_the_page_of_a_day_shows_only_its_own_changes(project: Project) -> None:
    project.telemetry(1)
    project.telemetry(2, extra=[1] * ROWS)
    project.run(1, 2, until="profiles")
    with Warehouse.open(project.settings, read_only=True) as warehouse:
        pages = [render_day(warehouse, project.settings, day(number)).read_text() for number in (1, 2)]
    sentence = "column extra is new (int64); on 2024-03-01: not there"
    assert [(sentence in page, "Columns of telemetry that changed" in page) for page in pages] == [
        (False, False),
        (True, True),
    ]


def test_a_lost_feature_concerns_the_versions_that_have_it_and_predicted(memory: Warehouse) -> None:
    change = {
        "dt": day(1),
        "comparison": "day_before",
        "change": "lost",
        "file_count": 1,
        "row_count": 9,
        "message": "m",
    }
    insert(memory.connection, "schema_changes", [change | {"column_name": name} for name in ("f.x", "f.y", "z")])
    check = {"dt": day(1), "source": "telemetry", "expectation": "e", "severity": "error", "outcome": "failed"}
    counts = {"checked_count": 9, "unexpected_count": 9}
    insert(memory.connection, "contract_checks", [check | counts | {"column_name": name} for name in ("f.x", "z")])
    bins = {"bin_id": 1, "feature_kind": "numeric", "bin_kind": "values", "label": "", "coarse_bin_id": 1}
    has = [("credit", "x"), ("churn", "x"), ("fraud", "x"), ("fraud", "y"), ("lead", "w")]
    features = [bins | {"model_id": model, "model_version": "v1", "feature": name} for model, name in has]
    insert(memory.connection, "feature_bins", features)
    counted = GROUP | {"dt": day(1), "bin_id": 1, "row_count": 9, "score_sum": 1.0}
    predicted = [counted | {"model_id": model} for model in ("credit", "churn", "lead")]
    insert(memory.connection, "prediction_profile", predicted)
    rows = memory.sql(
        "select signal, model_id, feature from sli_history"
        " where signal in ('schema_changes.lost', 'contract_checks.failed') order by all"
    ).to_pylist()
    assert [tuple(row.values()) for row in rows] == [
        ("contract_checks.failed", "churn", "telemetry.e.f.x"),
        ("contract_checks.failed", "credit", "telemetry.e.f.x"),
        ("contract_checks.failed", None, "telemetry.e.z"),
        ("schema_changes.lost", "churn", "f.x"),
        ("schema_changes.lost", "credit", "f.x"),
        ("schema_changes.lost", None, "z"),
    ]
