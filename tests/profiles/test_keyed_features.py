"""Features in a MAP or in JSON are counted like those in columns of their own."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from project import ROWS, Project

from driftlake.inputs.json_features import parsed_json
from driftlake.inputs.parquet_sql import keyed_value

GENERATOR = np.random.default_rng(5)
# half of them binary fractions, which text gives back exactly
X = [None if row % 17 == 0 else float(value) for row, value in enumerate(GENERATOR.normal(size=ROWS))]
COLOURS = [
    None if row % 23 == 0 else str(name) for row, name in enumerate(GENERATOR.choice(["red", "blue", 'a"b'], ROWS))
]
TABLES = ("feature_profile", "feature_stats", "prediction_sample", "schema_changes")


def of_rows(kept: str) -> Sequence[Mapping[str, Any]]:
    """Each row as a mapping, without what is missing or with nulls."""
    rows = [{"x": x, "colour": colour} for x, colour in zip(X, COLOURS, strict=True)]
    return [{name: value for name, value in row.items() if value is not None or kept == "null"} for row in rows]


def written(form: str) -> dict[str, Any]:
    if form == "columns":
        return {"x": X, "colour": pa.array(COLOURS)}
    if form == "json":
        return {"features": [json.dumps(row) for row in of_rows("null")]}
    if form == "json of what is there":
        return {"features": pa.array([json.dumps(row) for row in of_rows("")], pa.large_string())}
    texts = [[(name, str(value)) for name, value in row.items()] for row in of_rows("")]
    return {"features": pa.array(texts, pa.map_(pa.string(), pa.string()))}


def counted(root: Path, form: str) -> dict[str, list[tuple[Any, ...]]]:
    column = None if form == "columns" else "features"
    project = Project(root, telemetry={"path": "telemetry", "features_column": column})
    own = written(form)
    project.telemetry(1, **{"x": None, "colour": None} | own)
    project.run(1, 1, until="profiles")
    assert project.rows("select outcome from partition_runs") == [("complete",)]
    return project.contents(*TABLES)


@pytest.fixture(scope="module")
def of_columns(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[tuple[Any, ...]]]:
    return counted(tmp_path_factory.mktemp("columns") / "p", "columns")


@pytest.mark.parametrize("form", ["json", "json of what is there", "map"])
def test_counts_are_those_of_columns(tmp_path: Path, form: str, of_columns: dict[str, list[tuple[Any, ...]]]) -> None:
    assert counted(tmp_path / "p", form) == of_columns


def test_text_that_is_not_a_json_object_has_no_features(tmp_path: Path) -> None:
    project = Project(tmp_path / "p", telemetry={"path": "telemetry", "features_column": "features"})
    texts = ['{"x": 1.0, "colour": "red"}', "{", "[1]", None, '{"x": "many"}']
    project.telemetry(1, x=None, colour=None, features=(texts * ROWS)[:ROWS])
    project.run(1, 1, until="profiles")
    rows = project.rows("select feature, row_count, missing_count from feature_stats order by feature")
    assert rows == [("colour", ROWS, ROWS * 4 // 5), ("x", ROWS, ROWS * 4 // 5)]


@pytest.mark.parametrize(
    ("token", "text"),
    [
        ("3", "3"),
        ("3.0", "3"),
        ("3.00", "3"),
        ("-2.0", "-2"),
        ("2.50", "2.5"),
        ('"3.0"', "3.0"),
        ('"a\\"b"', 'a"b'),
        ("true", "true"),
        ("null", None),
        ("NaN", None),
        ('""', ""),
    ],
)
def test_a_value_in_json_has_the_text_that_it_has_in_a_column(
    db: duckdb.DuckDBPyConnection, token: str, text: str | None
) -> None:
    rows = pa.table({"c": [f'{{"a\\"b": {token}}}']})
    assert parsed_json(rows["c"], ['a"b'])['a"b'].to_pylist() == [text]
    db.register("rows", rows)
    read = keyed_value("c", 'a"b', [pa.string()])
    assert db.execute(f"select {read} from rows").fetchall() == [(text,)]


def test_sql_reads_a_key_of_a_map(db: duckdb.DuckDBPyConnection) -> None:
    kind = pa.map_(pa.string(), pa.float64())
    db.register("rows", pa.table({"c": pa.array([[("x", 1.5)], [("y", 2.5)]], kind)}))
    assert db.execute(f"select {keyed_value('c', 'x', [kind])} from rows").fetchall() == [(1.5,), (None,)]


@pytest.mark.parametrize("form", ["json", "map"])
def test_personal_data_under_a_key_is_found_at_night(tmp_path: Path, form: str) -> None:
    project = Project(tmp_path / "p", telemetry={"path": "telemetry", "features_column": "features"})
    rows = [{"x": "1", "colour": f"someone{row}@example.org"} for row in range(ROWS)]
    if form == "json":
        features: Any = [json.dumps(row) for row in rows]
    else:
        features = pa.array([list(row.items()) for row in rows], pa.map_(pa.string(), pa.string()))
    project.telemetry(1, x=None, colour=None, features=features)
    project.run(1, 1, until="profiles")
    [(column,)] = project.rows(
        "select column_name from contract_checks where expectation = 'column_holds_no_personal_data'"
    )
    assert column == "features.colour"
    assert not project.rows("from feature_profile where feature = 'colour'")
