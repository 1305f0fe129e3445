"""Training data is checked against its contract once, when its version is registered."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data import write_project

from driftlake.config import Settings
from driftlake.errors import InputError
from driftlake.lake.warehouse import Warehouse
from driftlake.lineage.lineage_files import read_lineage_folder
from driftlake.training.registration import register
from expectations.contracts import contracts

ROWS = 500
TRAINING = {"x": np.arange(ROWS) / ROWS, "score": np.linspace(0.1, 0.9, ROWS), "label": [0, 1] * (ROWS // 2)}


def registered(root: Path, **changes: Any) -> list[tuple[Any, ...]]:
    """What failed when a version with these training data was registered: rule, severity, column, rows."""
    settings = write_project(root / "project", features=["x"], training=TRAINING | changes, lineage={"target": "label"})
    return failed(settings)


def failed(settings: Settings) -> list[tuple[Any, ...]]:
    with Warehouse.open(settings) as warehouse:
        register(warehouse, settings, read_lineage_folder(settings), contracts(settings))
        return warehouse.connection.execute(
            "select expectation, severity, column_name, unexpected_count from contract_checks"
            " where source = 'training' and outcome = 'failed' and model_version = 'v1'"
        ).fetchall()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        ({"label": [None] * 5 + [1] * (ROWS - 5)}, [("target_is_present", "warning", "target", 5)]),
        ({"x": np.full(ROWS, 3.0)}, [("feature_varies", "warning", "x", ROWS)]),
        (
            {"x": [0.1, 0.2], "score": [0.1, 0.2], "label": [0, 1]},
            [("training_rows_are_enough", "warning", "target", 2)],
        ),
    ],
)
def test_a_warning_is_stored_with_its_version(
    tmp_path: Path, changes: dict[str, Any], expected: list[tuple[Any, ...]]
) -> None:
    assert registered(tmp_path, **changes) == expected


def test_an_error_refuses_the_version(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"score lies outside 0..1 \(min 1.7, max 1.7\) in 1 of 500 training rows"):
        registered(tmp_path, score=[1.7] + [0.5] * (ROWS - 1))


def test_a_user_suite_checks_training_data(tmp_path: Path) -> None:
    settings = write_project(tmp_path / "project", features=["x"], training=TRAINING)
    between = {"type": "expect_column_values_to_be_between", "kwargs": {"column": "x", "max_value": 0.5}}
    folder = tmp_path / "project" / "expectations"
    folder.mkdir()
    (folder / "training.json").write_text(
        json.dumps({"name": "training", "expectations": [between | {"severity": "warning"}]})
    )
    assert [row[0] for row in failed(settings)] == ["expect_column_values_to_be_between"]
