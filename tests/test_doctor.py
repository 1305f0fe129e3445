"""The doctor tells what a run would pass over in silence."""

from __future__ import annotations

from pathlib import Path

import yaml
from data import write_project

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
