"""Service levels: hours and nodes, availability, kinds of errors, and which stage of the latency moved."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data import day, noon
from project import Project

TELEMETRY = {"path": "telemetry", "latencies": ["lookup_ms", "inference_ms"]}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "project", telemetry=TELEMETRY)


def hours(number: int, *hour_of_row: int) -> list[datetime]:
    return [noon(number) + timedelta(hours=hour - 12, minutes=7) for hour in hour_of_row]


def levels(project: Project, columns: str, condition: str = "true") -> list[tuple[Any, ...]]:
    return project.rows(f"select {columns} from service_part_levels where {condition} order by all")


def test_every_hour_has_its_throughput_and_availability(project: Project) -> None:
    times = hours(1, 9, 9, 9, 9, 10, 10)
    project.telemetry(1, event_time=times, success=[True, True, True, False, True, None])
    project.run(1, 1, until="profiles")
    assert levels(project, "hour_at, prediction_count, availability_share") == [
        (noon(1) - timedelta(hours=3), 4, 0.75),
        (noon(1) - timedelta(hours=2), 2, 1.0),
    ]


def test_hours_without_a_time_zone_are_in_the_one_that_is_configured(tmp_path: Path) -> None:
    project = Project(tmp_path / "project", telemetry={"path": "telemetry", "timezone": "America/New_York"})
    written = [time.replace(tzinfo=None) for time in hours(1, 9)]
    project.telemetry(1, event_time=written, success=[True])
    project.run(1, 1, until="profiles")
    # in winter New York is five hours behind UTC
    assert levels(project, "hour_at, prediction_count") == [(noon(1).replace(tzinfo=None) + timedelta(hours=2), 1)]


def test_a_slow_node_is_seen(project: Project) -> None:
    nodes = ["a", "b"] * 100
    project.telemetry(
        1, event_time=hours(1, *[9] * 200), node_id=nodes, latency_ms=[20.0, 40.0] * 100, gpu_utilization=[50, 90] * 100
    )
    project.run(1, 1, until="profiles")
    found = levels(project, "node_id, gpu_utilization_mean, p95_ms", "node_id is not null")
    assert [row[:2] for row in found] == [("a", 50.0), ("b", 90.0)]
    # half a bin of five per cent
    assert [row[2] for row in found] == [pytest.approx(20, rel=0.026), pytest.approx(40, rel=0.026)]


def test_percentiles_of_hours_are_those_of_numpy(project: Project) -> None:
    latencies = np.random.default_rng(1).lognormal(3, 0.5, 2000)
    project.telemetry(1, event_time=hours(1, *[9] * 2000), latency_ms=latencies)
    project.run(1, 1, until="profiles")
    [found] = levels(project, "p50_ms, p95_ms, p99_ms")
    assert found == pytest.approx(np.percentile(latencies, [50, 95, 99], method="inverted_cdf"), rel=0.026)


def test_telemetry_without_such_columns_has_no_rows(project: Project) -> None:
    project.telemetry(1)
    project.run(1, 1, until="profiles")
    assert project.rows("from service_parts") == []


def test_a_day_without_such_columns_has_no_rows_next_to_one_with_them(project: Project) -> None:
    project.telemetry(1)
    project.telemetry(2, latency_ms=[5.0] * 300)
    project.run(1, 2, until="profiles")
    assert project.rows("select distinct dt from service_parts") == [(day(2),)]


def test_nodes_beyond_the_limit_are_counted_together(tmp_path: Path) -> None:
    project = Project(tmp_path / "project", telemetry={"path": "telemetry", "segment_limit": 1})
    project.telemetry(1, node_id=["a", "a", "b", "c"])
    project.run(1, 1, until="profiles")
    assert levels(project, "node_id, prediction_count", "node_id is not null") == [("(other)", 2), ("a", 2)]


def test_kinds_of_errors_beyond_the_limit_are_counted_together(project: Project) -> None:
    kinds = [f"request {number}" for number in range(30)] + ["timeout"] * 5 + [None]
    project.telemetry(1, error_kind=kinds)
    project.run(1, 1, until="profiles")
    found = project.rows("select error_kind, row_count from service_errors order by row_count desc, error_kind limit 3")
    assert found == [("(other)", 11), ("timeout", 5), ("request 0", 1)]


@pytest.mark.parametrize(("column", "table"), [("error_kind", "service_errors"), ("node_id", "service_parts")])
def test_personal_data_is_not_stored(project: Project, column: str, table: str) -> None:
    project.telemetry(1, **{column: [f"jane.doe{row}@example.org" for row in range(300)]})
    project.run(1, 1, until="profiles")
    assert project.rows(f"select {column} from {table} where {column} is not null") == []


def test_a_text_column_called_success_does_not_refuse_a_file(project: Project) -> None:
    project.telemetry(1, success=["maybe"] * 300, latency_ms=[5.0] * 300)
    project.run(1, 1, until="profiles")
    assert levels(project, "prediction_count, availability_share") == [(300, None)]


def test_the_stage_that_moved_is_named(project: Project) -> None:
    for number in range(1, 5):
        lookup = 100.0 if number == 4 else 10.0
        project.telemetry(number, lookup_ms=[lookup] * 300, inference_ms=[20.0] * 300, latency_ms=[lookup + 20.0] * 300)
    project.configure(alerts=[{"name": "slow", "signal": "service_levels.p95_ms", "warn": 100, "critical": 500}])
    project.run(1, 4)
    message = (
        "the 95th percentile of latency_ms of credit v1 (production) is 120 ms, usually 29.9 ms; lookup_ms changed most:"
        " 99.7 ms, usually 10 ms, since 2024-03-04 (1 day)"
    )
    assert project.rows("select message from alerts where feature = 'latency_ms'") == [(message,)]
    found = project.rows(
        "select metric, moved_place, change_ms from latency_changes where dt = ? order by metric", day(4)
    )
    assert [row[:2] for row in found] == [("inference_ms", 2), ("latency_ms", None), ("lookup_ms", 1)]
    assert found[2][2] == pytest.approx(90, rel=0.03)
