"""A break exceeds the feature's own values of the 28 days before, and lasts until it is half as bad."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
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


def test_a_change_seen_on_the_days_before_is_not_a_break(memory: Warehouse) -> None:
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


Values = Callable[[np.random.Generator], Any]
ROWS = 800
REPETITIONS = 2


def normal(location: float, scale: float) -> Values:
    """Values of a day, which differs from others by 3 % of a standard deviation."""
    return lambda generator: location + scale * (generator.normal(0, 0.03) + generator.normal(size=ROWS))


def lognormal(scale: float) -> Values:
    return lambda generator: np.exp(normal(4, scale)(generator))


# what changes a feature on its 28th day, and whether that is a break
CHANGES: dict[str, tuple[Values, Callable[[Any], Any], bool]] = {
    **{
        f"{moved} sd of a log sd of {scale}": (lognormal(scale), lambda x, by=moved * scale: x * np.exp(by), False)
        for moved in (-1.0, 1.0, 1.25, 1.5)
        for scale in (0.2, 0.5, 0.8, 1.2, 2.0)
    },
    **{f"{moved} sd": (normal(45, 12), lambda x, by=12 * moved: x + by, False) for moved in (-2, 1, 3)},
    **{
        f"{multiple} times a log sd of {scale}": (lognormal(scale), lambda x, by=multiple: x * by, True)
        for multiple, scale in ((1 / 2.54, 0.5), (2.54, 0.5), (10, 0.8), (60, 2.0), (1000, 2.0), (0.001, 2.0))
    },
    **{
        f"{multiple} times": (normal(40, 8), lambda x, by=multiple: x * by, True)
        for multiple in (0.4536, 1 / 1.609, 1.609, 2.54, 60, 100)
    },
    "Celsius to Fahrenheit": (normal(15, 8), lambda x: 1.8 * x + 32, True),
    "Fahrenheit to Celsius": (normal(59, 14), lambda x: (x - 32) / 1.8, True),
    "Celsius to kelvin": (normal(15, 8), lambda x: x + 273.15, True),
    # what cannot be distinguished from a changed population
    "1.609 times a log sd of 0.5": (lognormal(0.5), lambda x: x * 1.609, False),
}


def test_a_changed_unit_is_found_within_two_days_and_a_changed_population_is_not_one(memory: Warehouse) -> None:
    generator = np.random.default_rng(3)
    percentiles = ("p01", "p05", "p25", "p50", "p75", "p95", "p99")
    rows = []
    for name, (values, changed, _) in CHANGES.items():
        for repetition in range(REPETITIONS):
            for number in range(30):
                drawn = values(generator) if number < 28 else changed(values(generator))
                moments = {"mean": drawn.mean(), "standard_deviation": drawn.std()}
                ends = {"minimum": drawn.min(), "maximum": drawn.max(), "row_count": ROWS}
                of_day = dict(zip(percentiles, np.percentile(drawn, (1, 5, 25, 50, 75, 95, 99)), strict=True))
                named = {"dt": day(number - 27), "feature": f"{name}#{repetition}"}
                rows.append(STATS | named | moments | ends | of_day)
    memory.connection.register("simulated", pa.Table.from_pylist(rows))
    memory.connection.execute("insert into feature_stats by name from simulated")
    broken = memory.sql(
        "select feature, min(dt) as dt from sli_history where signal = 'feature_breaks.share' and value > 0.9 group by feature"
    ).to_pylist()
    assert all(row["dt"] >= day(1) for row in broken)
    found = dict.fromkeys(CHANGES, 0)
    for row in broken:
        found[row["feature"].split("#")[0]] += 1
    assert found == {name: REPETITIONS * is_break for name, (_, _, is_break) in CHANGES.items()}


@pytest.mark.parametrize(("others", "found"), [({}, {day(10): 0.25}), ({"p25": 29.0, "p50": 30.0, "p75": 31.0}, {})])
def test_a_segment_moves_alone_or_not_at_all(memory: Warehouse, others: Row, found: dict[date, float]) -> None:
    moved = {"p25": 29.0, "p50": 30.0, "p75": 31.0}
    for segment, rows in (("all", 1000), ("c=a", 250), ("c=b", 250), ("c=d", 250), ("c=e", 250)):
        given(memory, CALM_DAYS, segment=segment, row_count=rows)
        given(memory, [10], segment=segment, row_count=rows, **(moved if segment == "c=a" else others))
    assert breaks(memory) == found


@pytest.mark.parametrize(
    ("importances", "model", "pages"),
    [
        ({"a": 1, "b": 30}, {}, False),
        ({"a": 3, "b": 30}, {}, True),
        ({"a": 1, "b": 30}, {"critical": ["a"], "tier": "low"}, True),
        ({}, {"tier": "low"}, True),
        ({"a": 1, "b": 30}, {"tier": "high"}, True),
        ({"a": 3, "b": 30}, {"tier": "low"}, False),
    ],
    ids=[
        "unimportant",
        "important",
        "said to be critical",
        "not known",
        "of an important model",
        "of an unimportant model",
    ],
)
def test_a_break_pages_if_the_feature_is_important(
    memory: Warehouse, settings: Settings, importances: dict[str, float], model: dict[str, Any], pages: bool
) -> None:
    given(memory, CALM_DAYS)
    given(memory, [10], missing_count=600)
    models = settings.model_validate({**settings.model_dump(), "models": {"credit": model}})
    versions = {("credit", "v1"): ModelVersion("credit", "v1", "probability", {}, None, feature_importance=importances)}
    raised = fired(memory, (RULE,), first_day=date.min, last_day=day(10))
    _, incidents = group_alerts(memory, models, versions, raised, first_day=day(1), last_day=day(10))
    [incident] = incidents.to_pylist()
    assert (incident["kind"], incident["pages"]) == ("break", pages)
    assert incident["title"] == "credit: no probable cause was found (1 alert: a)"
