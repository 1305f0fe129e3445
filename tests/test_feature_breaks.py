"""A break is abrupt: beyond what the feature itself showed on any of the 28 days before, and it lasts until it is half as bad."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest
from data import GROUP, MODEL, Row, day, insert, write_project

from driftlake.alerts.incidents import group_alerts
from driftlake.alerts.rules import fired
from driftlake.config import AlertRule, Settings
from driftlake.lake.warehouse import Warehouse
from driftlake.lineage.versions import ModelVersion

RULE = AlertRule(name="feature-break", signal="feature_breaks.share", warn=0.05, critical=0.1, resolve_after_days=3)
STATS: Row = GROUP | {"feature": "a", "row_count": 1000, "missing_count": 0, "mean": 10.0, "standard_deviation": 2.0}
STATS |= {"minimum": 5.0, "maximum": 15.0, "p05": 7.0, "p25": 9.0, "p50": 10.0, "p75": 11.0, "p95": 13.0}
CALM_DAYS = range(-18, 10)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return write_project(tmp_path / "project", features=["x"], training={"x": [0.0, 1.0], "score": [0.1, 0.9]})


def given(memory: Warehouse, numbers: Any, **changes: Any) -> None:
    insert(memory.connection, "feature_stats", [STATS | changes | {"dt": day(number)} for number in numbers])


def breaks(memory: Warehouse) -> dict[date, float]:
    rows = memory.sql("select dt, value from sli_history where signal = 'feature_breaks.share' order by dt").to_pylist()
    return {row["dt"]: round(row["value"], 3) for row in rows}


@pytest.mark.parametrize(
    ("broken", "share"),
    [
        ({"missing_count": 600}, 0.6),
        ({"mean": 1000.0, "standard_deviation": 200.0}, 1.0),
        ({"minimum": 10.0, "maximum": 10.0, "p05": 10.0, "p95": 10.0, "standard_deviation": 0.0}, 1.0),
    ],
    ids=["missing", "unit", "constant"],
)
def test_a_break_is_seen_on_its_first_day_and_lasts(memory: Warehouse, broken: Row, share: float) -> None:
    given(memory, CALM_DAYS)
    given(memory, range(10, 60), **broken)
    given(memory, range(60, 63))
    assert breaks(memory) == dict.fromkeys(map(day, range(10, 60)), share)


def test_unseen_categories_break_a_feature(memory: Warehouse) -> None:
    category = {"mean": None, "standard_deviation": None, "minimum": None, "maximum": None}
    given(memory, range(-18, 11), **category)
    known = MODEL | {"feature": "a", "feature_kind": "categorical", "label": "", "coarse_bin_id": 1}
    insert(memory.connection, "feature_bins", [known | {"bin_id": 2, "bin_kind": "unseen"}])
    insert(
        memory.connection, "feature_profile", [GROUP | {"feature": "a", "dt": day(10), "bin_id": 2, "row_count": 300}]
    )
    assert breaks(memory) == {day(10): 0.3}


def test_what_the_days_before_showed_is_no_break(memory: Warehouse) -> None:
    given(memory, CALM_DAYS)
    given(memory, [-5], missing_count=300)
    memory.connection.execute("delete from feature_stats where dt = ? and missing_count = 0", [day(-5)])
    given(memory, [10], missing_count=500)
    assert breaks(memory) == {day(-5): 0.3}


def test_few_rows_break_beyond_chance_alone(memory: Warehouse) -> None:
    given(memory, CALM_DAYS, row_count=40)
    given(memory, [10], row_count=40, missing_count=4)
    given(memory, [11], row_count=40, missing_count=40)
    assert breaks(memory) == {day(11): 0.9}


@pytest.mark.parametrize(("others", "found"), [({}, {day(10): 0.25}), ({"p25": 29.0, "p50": 30.0, "p75": 31.0}, {})])
def test_a_segment_moves_alone_or_not_at_all(memory: Warehouse, others: Row, found: dict[date, float]) -> None:
    moved = {"p25": 29.0, "p50": 30.0, "p75": 31.0}
    for segment, rows in (("all", 1000), ("c=a", 250), ("c=b", 250), ("c=d", 250), ("c=e", 250)):
        given(memory, CALM_DAYS, segment=segment, row_count=rows)
        given(memory, [10], segment=segment, row_count=rows, **(moved if segment == "c=a" else others))
    assert breaks(memory) == found


@pytest.mark.parametrize(
    ("importances", "critical", "pages"),
    [({"a": 1, "b": 30}, (), False), ({"a": 3, "b": 30}, (), True), ({"a": 1, "b": 30}, ("a",), True), ({}, (), True)],
    ids=["unimportant", "important", "said to be critical", "not known"],
)
def test_a_break_pages_if_what_broke_is_important(
    memory: Warehouse, settings: Settings, importances: dict[str, float], critical: tuple[str, ...], pages: bool
) -> None:
    given(memory, CALM_DAYS)
    given(memory, [10], missing_count=600)
    models = settings.model_validate({**settings.model_dump(), "models": {"credit": {"critical": critical}}})
    versions = {("credit", "v1"): ModelVersion("credit", "v1", "probability", {}, None, feature_importance=importances)}
    raised = fired(memory, (RULE,), first_day=date.min, last_day=day(10))
    _, incidents = group_alerts(memory, models, versions, raised, first_day=day(1), last_day=day(10))
    [incident] = incidents.to_pylist()
    assert (incident["kind"], incident["pages"]) == ("break", pages)
    assert incident["title"] == "credit: no probable cause was found (1 alert: a)"
