"""Which columns are features if the lineage lists none."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from data import write_project
from typer.testing import CliRunner

from driftlake.cli import app
from driftlake.config import Settings
from driftlake.errors import InputError
from driftlake.lineage.lineage_files import read_lineage_folder
from driftlake.training.feature_choice import FeatureChoice, choose_features
from driftlake.training.learning import TrainingData

ROWS = 200
GENERATOR = np.random.default_rng(1)
FEATURES: dict[str, Any] = {
    "income": GENERATOR.lognormal(10, 0.5, ROWS),
    "age": GENERATOR.integers(18, 80, ROWS),
    "colour": GENERATOR.choice(["red", "blue"], ROWS),
    # all different, and amounts all the same
    "cents": GENERATOR.choice(10_000_000, ROWS, replace=False),
    # few distinct ids identify groups
    "shop_id": GENERATOR.integers(0, 5, ROWS),
    "valid": GENERATOR.random(ROWS) < 0.5,
    "mostly_missing": pa.array([1.0] * 5 + [None] * (ROWS - 5)),
}
OTHERS: dict[str, Any] = {
    "score": GENERATOR.random(ROWS),
    "late": GENERATOR.integers(0, 2, ROWS),
    "correlation_id": [f"r{row}" for row in range(ROWS)],
    "event_time": [datetime(2026, 1, 5) + timedelta(minutes=row) for row in range(ROWS)],
    "customer_id": GENERATOR.permutation(ROWS) * 7 + 13,
    "token": [f"{row * 7919:012x}" for row in range(ROWS)],
    "position": list(reversed(range(ROWS))),
    "country": ["at"] * ROWS,
    "empty": pa.nulls(ROWS, pa.float64()),
    "tags": [["a", "b"]] * ROWS,
}
REASONS = {
    "correlation_id": "the correlation_id of a prediction",
    "event_time": "the event_time of a prediction",
    "customer_id": "an id",
    "token": "an id",
    "position": "an id",
    "country": "the same in all rows",
    "empty": "without a value",
    "tags": "of type list<element: string>, which cannot be counted",
}


def project(root: Path, training: pa.Table | dict[str, Any], **sections: Any) -> Settings:
    settings = write_project(
        root, features=[], training={"x": [1.0]}, lineage={"features": None, "target": "late"}, **sections
    )
    table = training if isinstance(training, pa.Table) else pa.table(training)
    pq.write_table(table, root / "training.parquet")
    return settings


def chosen(settings: Settings) -> FeatureChoice:
    [file] = read_lineage_folder(settings)
    return choose_features(file, TrainingData(file), settings)


def test_features_are_the_columns_that_describe_cases(tmp_path: Path) -> None:
    choice = chosen(project(tmp_path / "p", FEATURES | OTHERS))
    assert choice.features == list(FEATURES)
    assert choice.left_out == REASONS


def test_a_column_that_a_setting_names_is_a_feature(tmp_path: Path) -> None:
    choice = chosen(project(tmp_path / "p", FEATURES | OTHERS, models={"credit": {"categorical": ["country"]}}))
    assert "country" in choice.features


@pytest.mark.parametrize("name", [None, "customer"])
def test_the_index_of_a_data_frame_is_not_a_feature(tmp_path: Path, name: str | None) -> None:
    frame = pd.DataFrame({"x": GENERATOR.normal(size=ROWS), "late": OTHERS["late"], "score": OTHERS["score"]})
    frame.index = pd.Index(GENERATOR.normal(size=ROWS), name=name)
    choice = chosen(project(tmp_path / "p", pa.Table.from_pandas(frame)))
    assert choice.features == ["x"]
    assert list(choice.left_out.values()) == ["the index of the data frame"]


def test_a_table_without_features_is_refused_with_the_reasons(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="country: the same in all rows"):
        chosen(project(tmp_path / "p", OTHERS))


def test_registering_says_what_was_taken_and_what_was_left_out(tmp_path: Path) -> None:
    root = tmp_path / "p"
    project(
        root,
        {name: FEATURES[name] for name in ("income", "colour")}
        | {"late": OTHERS["late"], "score": OTHERS["score"], "country": OTHERS["country"]},
    )
    arguments = ["lineage", "add", str(root / "lineage" / "credit-v1.yaml"), "--config", str(root / "driftlake.yaml")]
    reported = CliRunner().invoke(app, arguments, catch_exceptions=False).stdout
    assert reported.splitlines() == [
        "credit v1: registered",
        "  features: income (number), colour (category); left out: country: the same in all rows",
    ]
