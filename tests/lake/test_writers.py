"""Files of several writers that hold the same values in other types are counted alike: features, segments, classes, ids, labels.

Not here: the text of single values (test_value_text.py), and files that Spark wrote (test_spark.py).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from data import day, noon
from project import ROWS, Project, outcomes
from written_files import CREDIT, WRITERS, assert_days_are_alike, predictions, project_of_writers, write

from driftlake.errors import InputError
from driftlake.lineage.lineage_files import read_lineage_folder
from driftlake.maths.binning import UNSEEN, learn_category_bins
from driftlake.training.learning import TrainingData


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A day of each writer, and a day on which everything optional is broken."""
    project = project_of_writers(tmp_path_factory.mktemp("writers") / "project")
    rows = predictions(7, CREDIT)
    times = pa.array([noon(7)] * ROWS)
    odd = rows.set_column(rows.column_names.index("tier"), "tier", times)
    odd = odd.append_column("deployment", times).append_column("latency_ms", times)
    write(project.root, "telemetry", 7, CREDIT, pq.write_table, odd)
    empty = pa.table({name: pa.nulls(0) for name in rows.column_names})
    write(project.root, "telemetry", 8, CREDIT, pq.write_table, empty)
    pq.write_table(empty, project.root / "telemetry" / f"dt={day(7)}" / "part-1.parquet")
    reports = project.run(1, 8, until="label_cohorts")
    project.outcomes = outcomes(reports[0])  # type: ignore[attr-defined]  # what the first stage said
    return project


def test_the_same_values_are_counted_alike_whatever_their_types(project: Project) -> None:
    assert_days_are_alike(project, 1, 1 + len(WRITERS))


def test_segments_and_classes_have_one_name(project: Project) -> None:
    segments = project.rows("select distinct segment from feature_profile where dt <= ? order by all", day(5))
    assert {name for (name,) in segments} == {
        "all",
        *(f"tier={tier}" for tier in range(4)),
        *("active=true", "active=false"),
    }
    classes = project.rows("select distinct model_id, predicted_class, label_class from class_cohorts")
    assert {(model, name) for model, *names in classes for name in names} == {
        *(("route", name) for name in "123"),
        *(("switch", name) for name in ("true", "false")),
    }


def test_labels_are_joined_whatever_the_types_of_ids(project: Project) -> None:
    counted = "select prediction_on, sum({})::bigint from {} where segment = 'all' group by all order by all"
    labels = "(from label_cohorts where model_id = 'credit')"
    for sums, models in (
        ((counted.format("positive_count + negative_count", labels)), 1),
        (counted.format("row_count", "class_cohorts"), 2),
    ):
        assert project.rows(sums) == [(day(number), models * ROWS) for number in range(1, 6)]


def test_a_broken_optional_column_is_left_out_and_empty_files_are_ignored(project: Project) -> None:
    assert project.outcomes[day(7)] == "partial"  # type: ignore[attr-defined]
    assert project.outcomes[day(8)] == "empty"  # type: ignore[attr-defined]
    found = project.rows(
        "select column_name, severity from contract_checks where expectation = 'column_is_readable' order by all"
    )
    assert found == [("deployment", "error"), ("latency_ms", "error"), ("tier", "error")]
    [(rows, reason)] = project.rows(
        "select row_count, reason from current_runs where dt = ? and stage = 'profiles'", day(7)
    )
    assert rows == ROWS
    assert "column tier of type timestamp[us] is not read" in reason


@pytest.mark.parametrize(
    ("categories", "others"),
    [
        (["true", "false"], {"1": "true", "False": "false", "1.0": "true"}),
        (["True", "False"], {"true": "True", "0": "False"}),
        (["0", "1"], {"true": "1", "False": "0"}),
        (["1", "2", "3"], {"2.0": "2", "03": "3", "003.0": "3"}),
        (["0", "10"], {"00": "0"}),
        # decimals as an earlier release stored them
        (["1.000", "2.500"], {"1": "1.000", "2.5": "2.500"}),
    ],
)
def test_a_category_is_known_in_another_spelling(categories: list[str], others: dict[str, str]) -> None:
    bins = learn_category_bins("f", categories, np.full(len(categories), 10), None)
    found = bins.bins_of_categories(list(others)).tolist()
    assert found == bins.bins_of_categories(list(others.values())).tolist()
    assert UNSEEN not in found


@pytest.mark.parametrize(
    ("categories", "name"),
    [(["1.1", "1.2"], "1.10"), (["a", "1"], "true"), (["01"], "1"), (["01", "1x"], "1"), (["01", "20"], "020")],
)
def test_a_text_that_is_no_number_is_itself(categories: list[str], name: str) -> None:
    bins = learn_category_bins("f", categories, np.full(len(categories), 10), None)
    assert bins.bins_of_categories([name])[0] == UNSEEN


def test_training_files_may_differ_in_types(project: Project, tmp_path: Path) -> None:
    parts: list[dict[str, pa.Array]] = [
        {"a": pa.array([1, 2]), "b": pa.array(["x", "y"]), "c": pa.array(["x", None]), "d": pa.array([1, 2])},
        {
            "a": pa.array([1.5, None]),
            "b": pa.array(["x", "z"]).dictionary_encode(),
            "c": pa.nulls(2),
            "d": pa.array(["1", "2"]),
        },
        {name: pa.nulls(0) for name in "abcd"},
    ]
    for number, columns in enumerate(parts):
        pq.write_table(pa.table(columns), tmp_path / f"{number}.parquet")
    file = read_lineage_folder(project.settings)[0]
    data = TrainingData(file.__class__(file.path, file.record, str(tmp_path)))
    assert [data.column(name).to_pylist() for name in "abc"] == [
        [1, 2, 1.5, None],
        ["x", "y", "x", "z"],
        ["x", None, None, None],
    ]
    with pytest.raises(InputError, match="column d cannot be read: its files have the types int64 and string"):
        data.column("d")
