"""Served features compared with offline values of the same predictions. Not here: rules in general (test_alerting.py)."""

from __future__ import annotations

import numpy as np
import pytest
from data import day
from offline_values import offline, served
from project import ROWS, Project, outcomes, truncate

RULE = {"name": "skew", "signal": "feature_skew.different_share", "warn": 0.1, "critical": 0.2}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Three days: equal values, shifted and missing ones in one segment, and an offline file that is cut off."""
    project = Project(
        tmp_path_factory.mktemp("skew") / "project",
        telemetry={
            "path": "telemetry",
            "segments": ["country"],
            "offline": {"path": "offline", "tolerance": {"x": 0.5}},
        },
        alerts=[RULE],
    )
    for number in (1, 2, 3):
        project.telemetry(number, country=["fr", "de", "de"] * (ROWS // 3))
    offline(project, 1, x=served(project, 1)["x"].to_numpy() + 0.4)
    x, colour = served(project, 2)["x"].to_numpy().copy(), served(project, 2)["colour"].to_pylist()
    # every third row is French; served values are one too low in them, and two have no value offline
    x[::3] += 1
    x[[1, 4]] = np.nan
    colour[0] = None
    offline(project, 2, x=x, colour=colour)
    truncate(offline(project, 3))
    project.run(1, 3, until="profiles")
    project.run(1, 3, since="slos")
    return project


COUNTS = "compared_count, different_count, missing_count, surplus_count, lower_count, higher_count"


def test_values_within_the_tolerance_are_equal_whatever_the_order_of_the_rows(project: Project) -> None:
    found = project.rows(
        f"select feature, {COUNTS}, sample_ids from feature_skew where dt = ? and segment = 'all'", day(1)
    )
    assert sorted(found) == [("colour", ROWS, 0, 0, 0, 0, 0, []), ("x", ROWS, 0, 0, 0, 0, 0, [])]


def test_different_values_are_counted_with_their_direction_by_segment(project: Project) -> None:
    rows = project.rows(
        f"select segment, {COUNTS}, mean_difference, tolerance from feature_skew"
        " where dt = ? and feature = 'x' order by segment",
        day(2),
    )
    third = ROWS // 3
    assert [row[:7] for row in rows] == [
        ("all", ROWS, third + 2, 0, 2, third, 0),
        ("country=de", 2 * third, 2, 0, 2, 0, 0),
        ("country=fr", third, third, 0, 0, third, 0),
    ]
    assert [row[7] for row in rows] == [pytest.approx(-1), None, pytest.approx(-1)]
    assert rows[0][8] == 0.5


def test_a_category_differs_by_its_text_and_names_the_prediction(project: Project) -> None:
    [found] = project.rows(
        "select different_count, surplus_count, mean_difference, tolerance, sample_ids from feature_skew"
        " where dt = ? and feature = 'colour' and segment = 'all'",
        day(2),
    )
    assert found == (1, 1, None, None, ["d2-0"])


def test_a_rule_on_skew_raises_a_break_that_names_the_feature(project: Project) -> None:
    found = project.rows("select dt, feature, kind, severity, message from alerts where dt = ?", day(2))
    assert [row[:4] for row in found] == [(day(2), "x", "break", "critical")]
    assert found[0][4].startswith(
        "the served value of x of credit v1 (production) differs from the offline value in 34"
    )


def test_an_offline_file_that_cannot_be_read_makes_the_day_partial_until_it_is_repaired(project: Project) -> None:
    [run] = project.rows("select outcome, reason from partition_runs where stage = 'profiles' and dt = ?", day(3))
    assert run[0] == "partial"
    assert "offline" in run[1]
    assert project.rows("select sum(row_count) from prediction_profile where dt = ? and segment = 'all'", day(3)) == [
        (ROWS,)
    ]
    assert project.rows("select count(*) from feature_skew where dt = ?", day(3)) == [(0,)]
    [file] = project.rows("select outcome from input_files where dt = ? and source = 'offline_values'", day(3))
    assert file == ("refused",)
    offline(project, 3)
    [report] = project.run(1, 3, until="profiles")
    assert outcomes(report)[day(3)] == "complete"
    # the other days were not counted again
    assert project.rows("select count(*) from partition_runs where stage = 'profiles'") == [(4,)]
    assert project.rows("select count(*) from feature_skew where dt = ? and segment = 'all'", day(3)) == [(2,)]
