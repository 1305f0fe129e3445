"""Checking a producer's sample files reports every fault and writes nothing."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from data import noon
from project import ROWS, Project
from typer.testing import CliRunner

from driftlake.cli import app
from driftlake.contract.sample_gate import Fault, as_junit, check_files
from driftlake.lake.catalog import catalog_of
from expectations.contracts import sample_contracts


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "project")


def faults_of(project: Project, path: Path, source: Any = "telemetry") -> set[tuple[str, str, str | None]]:
    contracts = sample_contracts(project.settings)
    [(_, faults)] = check_files(project.settings, contracts, [str(path)], source)
    return {(fault.rule, fault.severity, fault.column) for fault in faults}


def test_a_good_file_has_no_fault(project: Project) -> None:
    assert faults_of(project, project.telemetry(1)) == set()
    assert faults_of(project, project.labels(1), "labels") == set()


def test_all_of_three_faults_are_reported(project: Project) -> None:
    contact = [f"ada{row}@example.org" for row in range(ROWS)]
    path = project.telemetry(1, x=None, score=[1.7] * ROWS, contact=contact)
    assert faults_of(project, path) == {
        ("feature_is_readable", "error", "x"),
        ("score_is_a_probability", "warning", "score"),
        ("column_holds_no_personal_data", "error", "contact"),
    }


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"correlation_id": None}, ("file_is_readable", "error", None)),
        ({"correlation_id": [None] * 5 + ["a"] * (ROWS - 5)}, ("correlation_id_is_present", "error", "correlation_id")),
        ({"correlation_id": ["same"] * ROWS}, ("prediction_is_unique", "warning", "correlation_id")),
        ({"event_time": [noon(9)] * ROWS}, ("event_time_is_in_its_day", "warning", "event_time")),
        ({"model_version": ["v9"] * ROWS}, ("model_version_is_known", "warning", "model_version")),
        ({"x": ["a"] * ROWS}, ("feature_is_readable", "error", "x")),
    ],
)
def test_a_fault_is_named_by_its_rule(
    project: Project, changes: dict[str, Any], fault: tuple[str, str, str | None]
) -> None:
    assert fault in faults_of(project, project.telemetry(1, **changes))


def test_without_a_warehouse_the_lineage_says_which_versions_there_are(project: Project) -> None:
    Path(catalog_of(project.settings).place).unlink()
    assert faults_of(project, project.telemetry(1)) == set()
    assert faults_of(project, project.telemetry(1, model_version=["v9"] * ROWS)) == {
        ("model_version_is_known", "warning", "model_version")
    }
    assert catalog_of(project.settings).is_missing()


def test_the_command_ends_with_1_and_says_why_in_each_format(project: Project) -> None:
    path = project.telemetry(1, x=None)
    config = ["--config", str(project.root / "driftlake.yaml")]
    found = {
        name: CliRunner().invoke(app, ["check", str(path), "--format", name, *config])
        for name in ("text", "json", "junit")
    }
    assert {result.exit_code for result in found.values()} == {1}
    said = f"{path} has no column x (credit v1)"
    assert found["text"].stdout == f"{path}: error: feature_is_readable: {said}\n"
    assert json.loads(found["json"].stdout) == {
        "path": str(path), "rule": "feature_is_readable", "severity": "error", "column": "x", "message": said
    }  # fmt: skip
    [failure] = ET.fromstring(found["junit"].stdout).iter("failure")  # ours
    assert failure.get("message") == said


def test_warnings_fail_on_request(project: Project) -> None:
    path = project.telemetry(1, score=[2.0] * ROWS)
    asked = ["check", str(path), "--config", str(project.root / "driftlake.yaml")]
    assert CliRunner().invoke(app, asked).exit_code == 0
    assert CliRunner().invoke(app, [*asked, "--strict"]).exit_code == 1


def test_characters_that_xml_cannot_contain_are_replaced() -> None:
    text = as_junit([("a\x00b", [Fault("a\x00b", "rule", "error", "<c>", "\x1b[31m & <d>")])])
    [failure] = ET.fromstring(text).iter("failure")  # ours
    assert failure.get("message") == "\\x1b[31m & <d>"
