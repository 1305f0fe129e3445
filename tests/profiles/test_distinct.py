"""Distinct values are estimated as closely as promised, over any cut of the rows, and frequent ones counted exactly."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from data import GROUP, Row, day, insert
from hypothesis import given
from hypothesis import strategies as st
from project import ROWS, Project, outcomes

from driftlake.lake import schema
from driftlake.lake.shell import answer
from driftlake.lake.warehouse import Warehouse
from driftlake.maths.encoding import encode
from driftlake.profiles.kernel import Grouping
from driftlake.profiles.value_counts import ValueAccumulator, ValueCounts, profile_values

STANDARD_ERROR = 1.04 / math.sqrt(4096)


def profiled(
    db: duckdb.DuckDBPyConnection, values: list[str | None] | pa.Array, count: Any = 1
) -> tuple[Row, list[Row]]:
    """Row of distinct_profile and rows of heavy_hitters for values that occur `count` times each."""
    size = len(values)
    key = {name: pa.repeat(value, size) for name, value in (GROUP | {"dt": day(1), "column_name": "shop"}).items()}
    counts = pa.array(np.broadcast_to(count, size), pa.int64())
    tables = profile_values(db, pa.table(key | {"value": values, "row_count": counts}))
    [distinct] = tables["distinct_profile"].to_pylist()
    return distinct, tables["heavy_hitters"].to_pylist()


def merged(*rows: Row) -> dict[int, int]:
    """Rank by register over several profiles."""
    ranks: dict[int, int] = {}
    for entry in sorted(entry for row in rows for entry in row["registers"]):
        ranks[entry // 64] = entry % 64
    return ranks


@pytest.mark.parametrize("size", [1, 10, 300, 3000, 10_000, 20_000, 100_000, 400_000])
def test_the_estimate_is_within_three_standard_errors(db: duckdb.DuckDBPyConnection, size: int) -> None:
    row, _ = profiled(db, pa.array(np.arange(size) * 7919).cast(pa.string()))
    assert row["distinct_count"] == pytest.approx(size, rel=3 * STANDARD_ERROR)


def test_a_register_is_recounted_from_the_hash(db: duckdb.DuckDBPyConnection) -> None:
    row, _ = profiled(db, ["kiosk"])
    [(digest,)] = db.execute("select md5_number_lower('kiosk')").fetchall()
    bits = f"{digest >> 12:052b}"
    assert row["registers"] == [64 * (digest % 4096) + 1 + bits.index("1")]


def test_missing_values_are_counted_but_not_as_a_value(db: duckdb.DuckDBPyConnection) -> None:
    row, hitters = profiled(db, pa.array(["a", None]), [2, 3])
    assert (row["row_count"], row["missing_count"], row["distinct_count"]) == (5, 3, 1)
    assert [(hitter["value"], hitter["row_count"], hitter["share"]) for hitter in hitters] == [("a", 2, 1)]


def test_a_column_without_values_has_none(db: duckdb.DuckDBPyConnection) -> None:
    row, hitters = profiled(db, pa.array([None], pa.string()))
    assert (row["distinct_count"], row["registers"], hitters) == (0, [], [])


def test_heavy_hitters_are_the_hundred_most_frequent_values(db: duckdb.DuckDBPyConnection) -> None:
    _, hitters = profiled(db, pa.array([f"{n:03}" for n in range(150)]), np.arange(150))
    assert [hitter["value"] for hitter in hitters] == [f"{n:03}" for n in range(149, 49, -1)]
    assert [hitter["rank"] for hitter in hitters] == list(range(1, 101))
    assert hitters[0]["share"] == 149 / sum(range(150))


VALUES = st.lists(st.tuples(st.integers(0, 2), st.sampled_from([None, "", "a", "b", "ä"])), max_size=30)


def counted(rows: list[tuple[int, str | None]]) -> ValueCounts:
    accumulator = ValueAccumulator(1)
    column = pa.array([value for _, value in rows], pa.string())
    grouping = Grouping.of(np.array([group for group, _ in rows], dtype=np.int64))
    accumulator.add_values("shop", *encode(column), [grouping])
    [counts] = accumulator.counts()
    return counts


@given(VALUES, VALUES)
def test_two_parts_add_up_to_the_whole(
    first: list[tuple[int, str | None]], second: list[tuple[int, str | None]]
) -> None:
    combined, whole = ValueCounts.combined([counted(first), counted(second)]), counted(first + second)
    order = [("group", "ascending"), ("value", "ascending")]
    assert combined.rows.sort_by(order).to_pylist() == whole.rows.sort_by(order).to_pylist()


@given(st.sets(st.text(max_size=3), min_size=1), st.sets(st.text(max_size=3), min_size=1))
def test_registers_of_two_parts_merge_into_those_of_the_whole(first: set[str], second: set[str]) -> None:
    with duckdb.connect() as db:
        for macro in schema.session_macros():
            db.execute(macro)
        parts = [profiled(db, pa.array(sorted(values)))[0] for values in (first, second)]
        whole, _ = profiled(db, pa.array(sorted(first | second)))
    assert merged(*parts) == merged(whole)


def new_values(memory: Warehouse, *, first: int, on: int, share: float) -> list[Row]:
    """New heavy hitters of day `on` if `a` came on each day and `b` on day `first` and on day `on`."""
    hitters = [
        GROUP | {"dt": day(n), "column_name": "shop", "value": "a", "row_count": 9, "share": 0.9, "rank": 1}
        for n in range(on + 1)
    ]
    hitters += [hitters[n] | {"value": "b", "share": share, "rank": 2} for n in (first, on)]
    insert(memory.connection, "heavy_hitters", hitters)
    rows: list[Row] = memory.sql(
        "select value, last_seen_on from new_heavy_hitters where dt = ?", [day(on)]
    ).to_pylist()
    return rows


def test_a_value_that_was_not_frequent_for_28_days_is_new(memory: Warehouse) -> None:
    assert new_values(memory, first=1, on=30, share=0.01) == [{"value": "b", "last_seen_on": day(1)}]


@pytest.mark.parametrize(("first", "share"), [(2, 0.01), (1, 0.009)], ids=["seen 28 days ago", "below one per cent"])
def test_other_values_are_not_new(memory: Warehouse, first: int, share: float) -> None:
    assert new_values(memory, first=first, on=30, share=share) == []


def test_on_the_first_day_nothing_is_new(memory: Warehouse) -> None:
    hitter = GROUP | {"dt": day(1), "column_name": "shop", "value": "a", "row_count": 9, "share": 0.9, "rank": 1}
    insert(memory.connection, "heavy_hitters", [hitter])
    assert memory.sql("from new_heavy_hitters").num_rows == 0


def test_a_period_is_the_days_merged(tmp_path: Path) -> None:
    project = Project(
        tmp_path / "project",
        telemetry={"path": "telemetry", "segments": ["colour"], "high_cardinality": ["shop", "colour", "extra.till"]},
    )
    for number in (1, 2):
        # 200 shops are the same on both days
        shops = np.arange(ROWS) + 100 * number
        project.telemetry(number, shop=shops, extra=[{"till": str(shop % 50)} for shop in shops])
    project.run(1, 2, until="profiles")
    with Warehouse.open(project.settings, read_only=True) as warehouse:
        rows = answer(warehouse, f"from distinct_between('credit', 'v1', date '{day(1)}', date '{day(2)}')").to_pylist()
        segment = answer(
            warehouse,
            f"from distinct_between('credit', 'v1', date '{day(1)}', date '{day(1)}', segment_name := 'colour=red')"
            " where column_name = 'colour'",
        ).to_pylist()
    found = {row["column_name"]: (row["row_count"], row["distinct_count"]) for row in rows}
    assert found["colour"] == (600, 2)
    assert found["extra.till"] == (600, pytest.approx(50, rel=3 * STANDARD_ERROR))
    assert found["shop"] == (600, pytest.approx(400, rel=3 * STANDARD_ERROR))
    assert [row["distinct_count"] for row in segment] == [1]


def test_columns_that_cannot_be_counted_are_left_out_and_the_day_is_counted(tmp_path: Path) -> None:
    telemetry = {"path": "telemetry", "high_cardinality": ["shop", "absent"], "shap": {"prefix": "shap_"}}
    project = Project(tmp_path / "project", telemetry=telemetry)
    project.telemetry(1, shop=[[1, 2]] * ROWS, shap_x=["high"] * ROWS)
    [report] = project.run(1, 1, until="profiles")
    assert set(outcomes(report).values()) == {"complete"}
    assert project.rows("from distinct_profile") == project.rows("from importance_profile") == []
