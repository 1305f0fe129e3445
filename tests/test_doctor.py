"""The doctor tells what a run would pass over in silence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml
from data import write_project
from project import ROWS, Project

from driftlake.setup.doctor import examine


def unwell(root: Path, **sections: object) -> dict[str, str]:
    """Message of every finding that is not well, by subject."""
    write_project(root, features=["x"], training={"x": [1.0, 2.0], "score": [0.1, 0.2]})
    config = root / "driftlake.yaml"
    config.write_text(yaml.safe_dump(yaml.safe_load(config.read_text()) | sections))
    return {finding.subject: finding.message for finding in examine(config) if not finding.is_well}


def test_settings_of_a_model_without_lineage_are_named(tmp_path: Path) -> None:
    assert unwell(tmp_path, models={"credits": {"decision_cut": 0.3}})["models"] == "no lineage file has credits"


def test_a_reference_version_without_lineage_is_named(tmp_path: Path) -> None:
    references = ["training", {"name": "champion", "model_version": "v0"}]
    assert unwell(tmp_path, drift={"references": references})["drift.references"] == "no lineage file has v0"


def test_a_rule_about_a_feature_that_no_version_has_is_named(tmp_path: Path) -> None:
    rule = {"name": "drift", "signal": "feature_drift.psi", "warn": 0.1, "critical": 0.2, "features": ["x", "z"]}
    assert unwell(tmp_path, alerts=[rule])["alerts drift"] == "no lineage file has z"


def test_folders_in_which_nothing_is_found_are_not_well(tmp_path: Path) -> None:
    nested = tmp_path / "deliveries" / "dt=2024-03-01" / "hour=01"
    nested.mkdir(parents=True)
    found = unwell(tmp_path / "project", telemetry={"path": "../deliveries"})
    assert found["telemetry"] == "there are no rows in the last 1 of 1 days"


def test_sums_of_shap_values_are_looked_at_like_every_other_source(tmp_path: Path) -> None:
    (tmp_path / "shap").mkdir()
    found = unwell(tmp_path, telemetry={"path": "telemetry", "shap": {"path": "shap"}})
    assert found["explanations"] == f"{tmp_path / 'shap'} has no folder dt=YYYY-MM-DD"


def test_a_suite_that_nothing_reads_is_named(tmp_path: Path) -> None:
    (tmp_path / "expectations").mkdir()
    (tmp_path / "expectations" / "telemtry.json").write_text("{}")
    assert unwell(tmp_path)["contracts.suites"].startswith("nothing reads telemtry.json")


def test_a_file_that_is_no_suite_is_named(tmp_path: Path) -> None:
    (tmp_path / "expectations").mkdir()
    (tmp_path / "expectations" / "telemetry.json").write_text("{}")
    assert "telemetry.json is not a suite" in unwell(tmp_path)["contracts.suites"]


def examined(project: Project) -> dict[str, tuple[bool, str]]:
    return {one.subject: (one.is_well, one.message) for one in examine(project.root / "driftlake.yaml")}


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A day of predictions with its labels, which are yes where the score is high, and no column listed as a feature."""
    project = Project(
        tmp_path_factory.mktemp("labelled") / "p",
        lineage={"features": None},
        labels={"path": "labels", "positive": "yes", "negative": "no"},
    )
    scores = np.random.default_rng(3).random(ROWS)
    project.telemetry(1, score=scores)
    project.labels(2, 1, label=np.where(scores > 0.4, "yes", "no"))
    return project


def test_features_labels_and_scores_are_told(labelled: Project) -> None:
    found = examined(labelled)
    assert found["credit v1"] == (True, "features: x (number), colour (category)")
    is_well, values = found["label values"]
    assert is_well
    assert values.startswith("1 (")
    is_well, score = found["score of credit v1"]
    assert is_well
    assert "AUC 1.000 over 300 labels" in score


def test_labels_that_nothing_counts_are_not_well(labelled: Project) -> None:
    path = labelled.labels(3, 1, label=["maybe"] * ROWS)
    is_well, message = examined(labelled)["label values"]
    path.unlink()
    assert not is_well
    assert "300 rows say nothing that a model counts" in message
