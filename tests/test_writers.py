"""Files of several writers that hold the same values in other types are counted alike: features, segments, ids, labels.

Not here: the text of single values (test_value_text.py).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from data import day, noon
from project import ROWS, Project, outcomes

from driftlake.errors import InputError
from driftlake.lineage.lineage_files import read_lineage_folder
from driftlake.maths.binning import UNSEEN, learn_category_bins
from driftlake.training.learning import TrainingData

RATING = np.arange(ROWS) % 5 + 1
MEMBER = np.arange(ROWS) % 3 == 0
TIER = np.arange(ROWS) % 4
WORD = [("low", "high")[row % 2] for row in range(ROWS)]
LABEL = np.arange(ROWS) % 2


def plain(number: int) -> pa.Table:
    """Predictions of a day in the types of the training data."""
    return pa.table(
        {
            "correlation_id": np.arange(ROWS) + 1000 * number,
            "event_time": pa.array([noon(number)] * ROWS),
            "model_id": ["credit"] * ROWS,
            "model_version": [1] * ROWS,
            "score": np.linspace(0.01, 0.99, ROWS),
            "x": np.linspace(-2, 2, ROWS),
            "colour": WORD,
            "rating": RATING,
            "member": MEMBER,
            "tier": TIER,
        }
    )


def as_pandas(rows: pa.Table, path: Path) -> None:
    """Nullable integers are floats, truth values are 0 and 1."""
    frame = rows.to_pandas().astype({"correlation_id": float, "model_version": float, "rating": float, "member": int})
    frame.astype({"tier": float, "colour": "category"}).to_parquet(path)


def as_duckdb(rows: pa.Table, path: Path) -> None:
    """Numbers are decimals, truth values text, categories an enum."""
    with duckdb.connect() as db:
        db.register("rows", rows)
        db.execute(
            "copy (select * replace (correlation_id::decimal(18, 0) as correlation_id, model_version::decimal(5, 2) as"
            " model_version, rating::decimal(38, 18) as rating, if(member, 'True', 'False') as member,"
            f" tier::decimal(9, 3) as tier, colour::enum('low', 'high') as colour) from rows) to '{path}'"
        )


def as_polars(rows: pa.Table, path: Path) -> None:
    """Small and unsigned numbers, text for ids, categories in a dictionary."""
    columns = {"correlation_id": pl.String, "model_version": pl.UInt8, "rating": pl.Float32, "tier": pl.UInt16}
    frame = pl.DataFrame(rows).with_columns(pl.col(name).cast(kind) for name, kind in columns.items())
    frame.with_columns(pl.col("colour").cast(pl.Categorical), pl.col("member").cast(pl.Float64)).write_parquet(path)


def as_arrow(rows: pa.Table, path: Path) -> None:
    """Text without the annotation that it is text, half floats."""
    for name in ("correlation_id", "model_version", "colour", "tier", "model_id"):
        place = rows.column_names.index(name)
        rows = rows.set_column(place, name, rows[name].cast(pa.string()).cast(pa.binary()))
    place = rows.column_names.index("rating")
    pq.write_table(rows.set_column(place, "rating", rows["rating"].cast(pa.float32()).cast(pa.float16())), path)


WRITERS: list[Callable[[pa.Table, Path], None]] = [as_pandas, as_duckdb, as_polars, as_arrow]


def write(root: Path, folder: str, number: int, writer: Callable[[pa.Table, Path], None], rows: pa.Table) -> None:
    path = root / folder / f"dt={day(number)}" / "part-0.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    writer(rows, path)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A day in the types of training, one of each writer, and a day of which all is wrong that need not be right."""
    many = 10
    training = {"score": np.tile(plain(1)["score"].to_numpy(), many), "x": np.tile(plain(1)["x"].to_numpy(), many)}
    training |= {"colour": WORD * many, "rating": np.tile(RATING, many), "member": np.tile(MEMBER, many)}
    project = Project(
        tmp_path_factory.mktemp("writers"),
        training=training,
        lineage={"model_version": "1"},
        telemetry={"path": "telemetry", "segments": ["tier"]},
    )
    write(project.root, "telemetry", 1, pq.write_table, plain(1))
    for number, writer in enumerate(WRITERS, start=2):
        write(project.root, "telemetry", number, writer, plain(number))
    for number in range(1, 6):
        # the ids of labels are in the types of another writer
        ids = plain(number).append_column("label", pa.array(LABEL))
        write(
            project.root,
            "labels",
            number + 1,
            WRITERS[number % len(WRITERS)],
            ids.append_column("prediction_on", pa.array([noon(number)] * ROWS)),
        )
    times = pa.array([noon(7)] * ROWS)
    odd = plain(7).set_column(9, "tier", times).append_column("deployment", times).append_column("latency_ms", times)
    write(project.root, "telemetry", 7, pq.write_table, odd)
    empty = pa.table({name: pa.nulls(0) for name in plain(7).column_names})
    write(project.root, "telemetry", 8, pq.write_table, empty)
    pq.write_table(empty, project.root / "telemetry" / f"dt={day(7)}" / "part-1.parquet")
    reports = project.run(1, 8, until="label_cohorts")
    project.outcomes = outcomes(reports[0])  # type: ignore[attr-defined]  # what the first stage said
    return project


@pytest.mark.parametrize("table", ["feature_profile", "prediction_profile"])
def test_the_same_values_are_counted_alike_whatever_their_types(project: Project, table: str) -> None:
    found: dict[Any, list[Any]] = {}
    for dt, *row in project.rows(f"select * from {table} where dt <= ? order by all", day(5)):
        found.setdefault(dt, []).append(row)
    assert len(found) == 1 + len(WRITERS)
    assert all(rows == found[day(1)] for rows in found.values())
    assert {row[3] for row in found[day(1)]} == {"all", "tier=0", "tier=1", "tier=2", "tier=3"}


def test_labels_meet_their_predictions_whatever_the_types_of_ids(project: Project) -> None:
    met = project.rows(
        "select prediction_on, sum(positive_count + negative_count)::bigint from label_cohorts where segment = 'all' group by all order by all"
    )
    assert met == [(day(number), ROWS) for number in range(1, 6)]


def test_what_need_not_be_there_costs_itself_and_files_without_rows_nothing(project: Project) -> None:
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
        (["1", "2", "3"], {"2.0": "2"}),
        # decimals as an earlier release stored them
        (["1.000", "2.500"], {"1": "1.000", "2.5": "2.500"}),
    ],
)
def test_a_category_is_known_in_another_spelling(categories: list[str], others: dict[str, str]) -> None:
    bins = learn_category_bins("f", categories, np.full(len(categories), 10), None)
    found = bins.bins_of_categories(list(others)).tolist()
    assert found == bins.bins_of_categories(list(others.values())).tolist()
    assert UNSEEN not in found


@pytest.mark.parametrize(("categories", "name"), [(["1.1", "1.2"], "1.10"), (["a", "1"], "true"), (["01"], "1")])
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
    [file] = read_lineage_folder(project.settings)
    data = TrainingData(file.__class__(file.path, file.record, str(tmp_path)))
    assert [data.column(name).to_pylist() for name in "abc"] == [
        [1, 2, 1.5, None],
        ["x", "y", "x", "z"],
        ["x", None, None, None],
    ]
    with pytest.raises(InputError, match="column d cannot be read: its files have it as int64 and string"):
        data.column("d")
