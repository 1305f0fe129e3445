"""Columns are found by their exact names, even if other names differ only by case."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
from data import day, noon, write_day
from project import ROWS, Project

from driftlake.errors import ConfigurationError
from driftlake.inputs.columns import telemetry_columns
from driftlake.inputs.partitions import read_partitions
from driftlake.inputs.predictions import LeftOut, Reading, create_view_of_partitions

IDS = {"correlation_id": ["a"], "event_time": [noon(1)], "model_id": ["m"], "model_version": ["v"]}
TABLES = ("feature_profile", "prediction_profile", "service_profile", "importance_profile", "label_cohorts")


def listed(db: duckdb.DuckDBPyConnection, folder: Path, *files: dict[str, Any], **how: Any) -> list[tuple[Any, ...]]:
    """File, score, country, its segment and the score of class a of rows, a file each."""
    for number, columns in enumerate(files):
        write_day(folder, 1, IDS | columns, name=f"part-{number}")
    columns = telemetry_columns(["country"])
    partitions = read_partitions(str(folder), [day(1)], columns, {})
    create_view_of_partitions(
        db, "predictions", partitions, Reading(columns, {}, ["country"], {"a": "scores.a"}), **how
    )
    return db.execute(
        "select file_id, score, country, segments[1], class_scores['a'] from predictions order by file_id"
    ).fetchall()


@pytest.mark.parametrize("is_first", [True, False])
def test_a_column_that_differs_by_case_is_not_read_in_its_place(
    db: duckdb.DuckDBPyConnection, tmp_path: Path, *, is_first: bool
) -> None:
    right: dict[str, Any] = {"score": [0.5], "country": ["at"], "scores": [{"a": 0.1, "A": 0.9}]}
    wrong: dict[str, Any] = {"Score": [700], "Country": ["xx"], "Scores": [{"a": 0.8}]}
    both = wrong | right if is_first else right | wrong
    if is_first:
        both["scores"] = [{"A": 0.9, "a": 0.1}]
    expected = (0.5, "at", "country=at", 0.1)
    assert listed(db, tmp_path, both) == [(0, *expected)]


def test_files_of_a_day_may_differ_by_case(db: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    files = [{"Score": [700], "Country": ["xx"]}, {"score": [0.5], "country": ["at"]}, {"Score": [800]}]
    nothing = (None, None, "country=(missing)", None)
    expected = [(0, *nothing), (1, 0.5, "at", "country=at", None), (2, *nothing)]
    assert listed(db, tmp_path, *files) == expected


def test_left_out_columns_are_left_out_of_files_that_differ_by_case(
    db: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    db.execute("create table broken as select 2::integer as file_id, 0::bigint as file_row_number")
    files = [{"score": [0.1], "Score": [1]}, {"score": [0.2], "country": ["at"]}, {"Score": [1], "score": [0.3]}]
    found = listed(db, tmp_path, *files, left_out=LeftOut({day(1): {"country"}}, "broken"))
    assert [row[:3] for row in found] == [(0, 0.1, None), (1, 0.2, None)]


def test_a_column_of_another_case_is_missing_and_reported(tmp_path: Path) -> None:
    write_day(tmp_path, 1, {"Correlation_ID" if name == "correlation_id" else name: v for name, v in IDS.items()})
    [partition] = read_partitions(str(tmp_path), [day(1)], telemetry_columns([]), {})
    assert "has no column correlation_id (it has Correlation_ID, which is a different name)" in str(
        partition.files[0].refusal
    )


def test_names_in_the_settings_that_differ_by_case_alone_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="score and Score differ only by case"):
        telemetry_columns(["Score"])


def test_other_columns_that_differ_by_case_change_no_number(tmp_path: Path) -> None:
    """Rows of a night with labels, features in a STRUCT and SHAP values."""
    contents = []
    for name in ("plain", "twins"):
        features = {"x": np.linspace(0, 1, ROWS), "colour": ["red", "blue"] * (ROWS // 2)}
        shap = {"x": np.linspace(-1, 1, ROWS), "colour": [0.5] * ROWS}
        sides: dict[str, Any] = {"Score": [700] * ROWS, "Latency_MS": [1.0] * ROWS} if name == "twins" else {}
        if name == "twins":
            features = {"X": [9.0] * ROWS, "Colour": ["green"] * ROWS} | features
            shap = {"X": [9.0] * ROWS} | shap
        project = Project(
            tmp_path / name,
            telemetry={"path": "telemetry", "features_column": "f", "shap": {"column": "s"}},
        )
        rows = {"f": [dict(zip(features, row, strict=True)) for row in zip(*features.values(), strict=True)]}
        rows["s"] = [dict(zip(shap, row, strict=True)) for row in zip(*shap.values(), strict=True)]
        ids = {"correlation_id": [f"d1-{row}" for row in range(ROWS)], "latency_ms": [5.0] * ROWS}
        path = project.telemetry(1, x=None, colour=None, **ids, **rows)
        if name == "twins":
            # before all others, because they come first in the file
            import pyarrow as pa
            import pyarrow.parquet as pq

            table = pq.read_table(path)
            pq.write_table(pa.table(sides | {n: table.column(n) for n in table.column_names}), path)
        labels = project.labels(2, 1)
        if name == "twins":
            table = pq.read_table(labels)
            pq.write_table(pa.table({"Label": [0] * ROWS} | {n: table.column(n) for n in table.column_names}), labels)
        project.run(1, 2, until="label_cohorts")
        contents.append(project.contents(*TABLES))
    plain, twins = contents
    assert all(plain.values())
    assert twins == plain
