"""Labels of the training data are counted by score bin, with the sums of their losses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from data import KEY, write_project
from sklearn import metrics

from driftlake.lake.warehouse import Warehouse
from driftlake.lineage.lineage_files import read_lineage_folder
from driftlake.lineage.versions import TrainingLabels, load_versions
from driftlake.training.registration import register


def training_labels(root: Path, target: Any, score: Any, **lineage: Any) -> TrainingLabels | None:
    """Counts of the training labels of a version after registration."""
    settings = write_project(root, features=["x"], training={"x": np.arange(len(target)), "y": target, "score": score})
    path = root / "lineage" / "credit-v1.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | {"target": "y"} | lineage))
    with Warehouse.open(settings) as warehouse:
        register(warehouse, settings, read_lineage_folder(settings))
        return load_versions(warehouse)[KEY].training_labels


def test_losses_of_a_probability_are_those_of_scikit_learn(tmp_path: Path) -> None:
    generator = np.random.default_rng(1)
    target, score = generator.integers(0, 2, 500), generator.random(500)
    labels = training_labels(tmp_path, target, score)
    assert labels
    assert (labels.positives.sum(), labels.negatives.sum()) == (target.sum(), 500 - target.sum())
    means = {name: total / labels.scored_count for name, total in labels.scored_sums.items()}
    assert means == pytest.approx(
        {
            "log_loss_sum": metrics.log_loss(target, score),
            "squared_error_sum": metrics.brier_score_loss(target, score),
        }
    )


def test_errors_of_a_regression_are_those_of_scikit_learn(tmp_path: Path) -> None:
    generator = np.random.default_rng(1)
    target, score = generator.normal(size=500), generator.normal(size=500)
    labels = training_labels(tmp_path, target, score, task="regression", score_kind="value", quantile=0.9)
    assert labels
    means = {name: total / labels.scored_count for name, total in labels.scored_sums.items()}
    assert means == pytest.approx(
        {
            "squared_error_sum": metrics.mean_squared_error(target, score),
            "absolute_error_sum": metrics.mean_absolute_error(target, score),
            "error_sum": (score - target).mean(),
            "quantile_loss_sum": metrics.mean_pinball_loss(target, score, alpha=0.9),
        }
    )


def test_a_target_without_values_counts_nothing(tmp_path: Path) -> None:
    assert training_labels(tmp_path, [None] * 50, np.linspace(0.1, 0.9, 50)) is None


def test_booleans_are_labels(tmp_path: Path) -> None:
    labels = training_labels(tmp_path, [True, False, True, None] * 10, np.linspace(0.1, 0.9, 40))
    assert labels
    assert (labels.positives.sum(), labels.negatives.sum()) == (20, 10)
