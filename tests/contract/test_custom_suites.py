"""Suites in Great Expectations' own format are found by name, checked for each day, and never skipped."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from data import day
from project import ROWS, Project, outcomes

from driftlake.contract.suite_files import read_suites
from driftlake.errors import ConfigurationError
from driftlake.lake.warehouse import Warehouse
from driftlake.training.suggested_suite import suggest_suite

BETWEEN = {"type": "expect_column_values_to_be_between", "kwargs": {"column": "x", "min_value": -9, "max_value": 9}}
IN_SET = {"type": "expect_column_values_to_be_in_set", "kwargs": {"column": "colour", "value_set": ["red", "blue"]}}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "project")


def write(project: Project, *expectations: dict[str, Any], name: str = "telemetry_credit") -> None:
    folder = project.root / "expectations"
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps({"name": name, "expectations": list(expectations), "meta": {}}))


def checks(project: Project, expectation: str) -> list[tuple[Any, ...]]:
    return project.rows(
        "select dt, severity, outcome, checked_count, unexpected_count, observed from contract_checks"
        " where expectation = ? order by dt",
        expectation,
    )


def test_a_broken_critical_expectation_refuses_its_day_only(project: Project) -> None:
    write(project, BETWEEN, IN_SET | {"severity": "warning"})
    project.telemetry(1)
    project.telemetry(2, x=[50.0] * 2 + [0.0] * (ROWS - 2), colour=["green"] + ["red"] * (ROWS - 1))
    [profiles] = project.run(1, 2, until="profiles", is_checked=True)
    assert outcomes(profiles) == {day(1): "complete", day(2): "refused"}
    assert checks(project, BETWEEN["type"]) == [
        (day(1), "error", "passed", ROWS, 0, None),
        (day(2), "error", "failed", ROWS, 2, "50.0"),
    ]
    assert checks(project, IN_SET["type"])[1] == (day(2), "warning", "failed", ROWS, 1, "green")
    assert "telemetry_credit.json" in str(profiles.refused[0].reason)


def test_a_suite_of_labels_checks_labels(project: Project) -> None:
    few = {"type": "expect_table_row_count_to_be_between", "kwargs": {"max_value": 10}, "severity": "warning"}
    write(project, few, name="labels")
    project.telemetry(1)
    project.labels(1)
    project.run(1, 1, until="label_cohorts", is_checked=True)
    assert checks(project, few["type"]) == [(day(1), "warning", "failed", ROWS, ROWS, "300")]


def test_an_expectation_about_a_missing_column_fails(project: Project) -> None:
    write(project, {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "income"}})
    project.telemetry(1)
    [profiles] = project.run(1, 1, until="profiles", is_checked=True)
    assert outcomes(profiles) == {day(1): "refused"}
    assert "no column income" in str(profiles.refused[0].reason)


def test_an_expectation_that_cannot_be_evaluated_does_not_pass(project: Project) -> None:
    write(project, {"type": "expect_column_values_to_match_regex", "kwargs": {"column": "colour", "regex": "^r"}})
    project.telemetry(1)
    [profiles] = project.run(1, 1, until="profiles", is_checked=True)
    assert outcomes(profiles) == {day(1): "failed"}
    assert "telemetry_credit.json: expect_column_values_to_match_regex" in str(profiles.refused[0].reason)


@pytest.mark.parametrize(
    ("expectation", "says"),
    [
        ({"type": "expect_magic", "kwargs": {}}, "Great Expectations has no expect_magic"),
        ({"kwargs": {}}, "expectations.0.type"),
    ],
)
def test_a_file_that_is_not_a_suite_is_named(project: Project, expectation: dict[str, Any], says: str) -> None:
    write(project, expectation)
    with pytest.raises(ConfigurationError, match=says):
        read_suites(project.settings)


def test_a_file_that_is_not_json_is_named(project: Project) -> None:
    write(project)
    (project.root / "expectations" / "telemetry.json").write_text("{")
    with pytest.raises(ConfigurationError, match="telemetry.json is not a suite of Great Expectations"):
        read_suites(project.settings)


def test_arguments_that_an_expectation_does_not_take_are_named(project: Project) -> None:
    write(project, {"type": BETWEEN["type"], "kwargs": {"column": "x", "strict_min": "yes", "min_value": []}})
    project.telemetry(1)
    with pytest.raises(ConfigurationError, match="expect_column_values_to_be_between cannot be built"):
        project.run(1, 1, until="profiles", is_checked=True)


def test_days_are_processed_again_after_a_suite_was_edited(project: Project) -> None:
    project.telemetry(1)
    project.run(1, 1, until="profiles", is_checked=True)
    write(project, BETWEEN | {"kwargs": {"column": "x", "max_value": 0}})
    [profiles] = project.run(1, 1, until="profiles", is_checked=True)
    assert outcomes(profiles) == {day(1): "refused"}


def test_a_suggested_suite_holds_for_data_like_those_of_training(project: Project) -> None:
    with Warehouse.open(project.settings, read_only=True) as warehouse:
        suite = json.loads(suggest_suite(warehouse, "credit", "v1"))
        with pytest.raises(ConfigurationError, match="credit v9 is not registered"):
            suggest_suite(warehouse, "credit", "v9")
    write(project, *suite["expectations"])
    project.telemetry(1)
    project.telemetry(2, colour=["green"] * ROWS)
    project.run(1, 2, until="profiles", is_checked=True)
    assert [outcome for _, _, outcome, *_ in checks(project, "x is as in training")] == ["passed", "passed"]
    assert [outcome for _, _, outcome, *_ in checks(project, "colour is as in training")] == ["passed", "failed"]


def test_rows_that_a_query_expectation_finds_are_unexpected(project: Project) -> None:
    query = "select * from {batch} where x > 50"
    write(project, {"type": "unexpected_rows_expectation", "kwargs": {"unexpected_rows_query": query}})
    project.telemetry(1, x=[99.0] * 7 + [0.0] * (ROWS - 7))
    project.run(1, 1, until="profiles", is_checked=True)
    assert checks(project, "unexpected_rows_expectation") == [(day(1), "error", "failed", ROWS, 7, None)]


def test_a_value_that_cannot_be_converted_is_masked(project: Project) -> None:
    query = "select * from {batch} where contact::double > 1"
    write(project, {"type": "unexpected_rows_expectation", "kwargs": {"unexpected_rows_query": query}})
    project.telemetry(1, contact=["zoe@example.org"] * ROWS)
    [profiles] = project.run(1, 1, until="profiles", is_checked=True)
    assert outcomes(profiles) == {day(1): "failed"}
    [run] = profiles.refused
    assert "could not be evaluated" in str(run.reason)
    assert "Could not convert" in str(run.reason)
    assert "zoe" not in str(run.reason)
