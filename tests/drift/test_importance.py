"""SHAP values add up over any cut of the rows, and a ranking is compared as others compare it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from data import GROUP, KEY, MODEL, Row, day, insert, model_version, write_day
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from project import ROWS, Project, outcomes
from sklearn.metrics import ndcg_score

from driftlake.config import DriftSettings
from driftlake.drift.importance import compare_importance, ndcg, ranks
from driftlake.lake.warehouse import Warehouse
from driftlake.maths.arrays import Floats
from driftlake.maths.binning import learn_category_bins
from driftlake.profiles.kernel import Grouping
from driftlake.profiles.shap_sums import ImportanceAccumulator, ImportanceCounts

IMPORTANCE = st.integers(2, 12).flatmap(
    lambda count: st.tuples(*[arrays(np.float64, count, elements=st.integers(0, 5).map(float))] * 2)
)


@given(IMPORTANCE)
def test_ndcg_is_that_of_scikit_learn(importance: tuple[Floats, Floats]) -> None:
    current, reference = importance
    reference[0] = 1.0  # without any importance there is nothing to rank
    assert ndcg(current, reference) == pytest.approx(ndcg_score([reference], [current]))


def test_ndcg_discounts_by_the_logarithm_of_the_rank() -> None:
    # the second feature comes first: (1 + 3 / log2 3) / (3 + 1 / log2 3)
    assert ndcg(np.array([1.0, 2.0]), np.array([3.0, 1.0])) == pytest.approx(0.7967, abs=1e-4)


def test_equal_features_share_their_ranks() -> None:
    assert ranks(np.array([0.5, 2.0, 0.5])).tolist() == [2.5, 1.0, 2.5]


# --- sums ---

SHAP = st.lists(st.tuples(st.integers(0, 2), st.sampled_from([-1.5, 0.25, 3.0, np.nan, np.inf])), max_size=30)


def counted(rows: list[tuple[int, float]]) -> ImportanceCounts:
    accumulator = ImportanceAccumulator(["x"], [3])
    grouping = Grouping.of(np.array([group for group, _ in rows], dtype=np.int64))
    accumulator.add_values(np.array([value for _, value in rows]), groupings=[grouping])
    [counts] = accumulator.counts()
    return counts


@given(SHAP, SHAP)
def test_two_parts_add_up_to_the_whole(first: list[tuple[int, float]], second: list[tuple[int, float]]) -> None:
    combined, whole = ImportanceCounts.combined([counted(first), counted(second)]), counted(first + second)
    for name in ("rows", "absolute_sums", "signed_sums"):
        np.testing.assert_array_equal(getattr(combined, name), getattr(whole, name))


def test_what_is_no_number_explains_nothing() -> None:
    columns = counted([(1, -1.5), (1, 0.25), (1, np.nan), (2, np.inf)]).columns()
    found = {name: list(columns[name]) for name in ("group", "row_count", "absolute_sum", "signed_sum")}
    assert found == {"group": [1], "row_count": [2], "absolute_sum": [1.75], "signed_sum": [-1.25]}


# --- comparison ---

VERSION = model_version([learn_category_bins(name, ["a"], np.array([1])) for name in ("x", "y", "z")])


def importance_drift(
    memory: Warehouse, shares: Mapping[int, tuple[float, float, float]], *, trained: bool = True, rows: int = 1000
) -> dict[tuple[str | None, str], Row]:
    """Rows of day 2 over one day, by feature and statistic; `shares` are mean absolute SHAP values of x, y, z by day."""
    insert(
        memory.connection,
        "importance_profile",
        [
            GROUP
            | {"dt": day(number), "feature": feature, "row_count": rows}
            | {"absolute_sum": rows * mean, "signed_sum": 0.0}
            for number, means in shares.items()
            for feature, mean in zip("xyz", means, strict=True)
        ],
    )
    with memory.registered(groups=pa.Table.from_pylist([GROUP])):
        windows = memory.query("drift/importance_windows", first_day=day(2), last_day=day(2), windows_days=[1])
    version = replace(VERSION, feature_importance={"x": 6.0, "y": 3.0, "z": 1.0} if trained else {})
    found = compare_importance(windows, {KEY: version}, DriftSettings()).to_pylist()
    return {(row["feature"], row["statistic"]): row for row in found}


def test_the_same_ranking_is_stable(memory: Warehouse) -> None:
    row = importance_drift(memory, {2: (0.5, 0.3, 0.2)})[None, "ndcg"]
    assert (row["value"], row["outcome"], row["reference"]) == (1, "stable", "training")


def test_a_turned_ranking_is_drift(memory: Warehouse) -> None:
    row = importance_drift(memory, {2: (0.1, 0.3, 0.6)})[None, "ndcg"]
    assert row["value"] == pytest.approx((1 + 3 / np.log2(3) + 6 / 2) / (6 + 3 / np.log2(3) + 1 / 2))
    assert row["outcome"] == "drift"


def test_a_feature_whose_share_more_than_doubled_is_dominant(memory: Warehouse) -> None:
    rows = importance_drift(memory, {2: (0.5, 0.1, 0.4)})
    assert {name: rows[name, "dominant"]["outcome"] for name in "xyz"} == {"x": "stable", "y": "stable", "z": "drift"}
    assert rows["z", "dominant"]["value"] == pytest.approx(0.4)
    assert rows["z", "share_change"]["value"] == pytest.approx(0.4 - 0.1)
    assert [rows[name, "rank_change"]["value"] for name in "xyz"] == [0, -1, 1]


def test_without_importance_in_the_lineage_the_window_before_is_the_reference(memory: Warehouse) -> None:
    row = importance_drift(memory, {1: (0.1, 0.3, 0.6), 2: (0.1, 0.3, 0.6)}, trained=False)[None, "ndcg"]
    assert (row["value"], row["reference"]) == (1, "preceding")


@pytest.mark.parametrize(
    ("shares", "arguments", "reason"),
    [
        ({2: (0.5, 0.3, 0.2)}, {"rows": 199}, "fewer than 200 predictions with SHAP values in the window"),
        ({2: (0, 0, 0)}, {}, "all importances are zero in the window"),
        (
            {2: (0.5, 0.3, 0.2)},
            {"trained": False},
            "all importances are zero in the window before, and the lineage has no importance",
        ),
    ],
)
def test_what_cannot_be_compared_says_why(
    memory: Warehouse, shares: Mapping[int, tuple[float, float, float]], arguments: Mapping[str, Any], reason: str
) -> None:
    [(key, row)] = importance_drift(memory, shares, **arguments).items()
    assert (key, row["value"], row["outcome"], row["reason"]) == ((None, "ndcg"), None, "insufficient_data", reason)


@pytest.mark.parametrize("layout", ["prefix", "column"])
def test_a_night_sums_shap_values_and_an_alert_can_watch_their_ranking(tmp_path: Path, layout: str) -> None:
    rule = {"name": "ranking", "signal": "importance_drift.ndcg_loss", "window_days": 1, "warn": 0.05, "critical": 0.1}
    project = Project(
        tmp_path / "project",
        telemetry={"path": "telemetry", "shap": {layout: "shap_" if layout == "prefix" else "shap"}},
        alerts=[rule | {"references": ["preceding"]}],
    )
    for number, means in {1: (0.9, 0.1), 2: (0.1, 0.9)}.items():
        values = {
            f"shap_{name}": [mean, -mean] * (ROWS // 2) for name, mean in zip(("x", "colour"), means, strict=True)
        }
        nested = {"shap": pa.StructArray.from_arrays(list(values.values()), ["x", "colour"])}
        project.telemetry(number, **(values if layout == "prefix" else nested))
    project.run(1, 2)
    sums = project.rows(
        "select feature, row_count, absolute_sum, signed_sum from importance_profile where dt = ?", day(2)
    )
    assert sorted(sums) == [("colour", 300, pytest.approx(270), 0), ("x", 300, pytest.approx(30), 0)]
    [(message,)] = project.rows("select message from alerts where rule = 'ranking'")
    assert message.startswith("importance of the features of credit v1 (production) drifted from the window before:")


def test_a_struct_of_shap_values_without_a_feature_says_nothing_about_it(tmp_path: Path) -> None:
    project = Project(tmp_path / "project", telemetry={"path": "telemetry", "shap": {"column": "shap"}})
    project.telemetry(1, shap=pa.StructArray.from_arrays([[0.5] * ROWS], ["x"]))
    project.run(1, 1, until="profiles")
    assert project.rows("select feature, row_count from importance_profile where row_count > 0") == [("x", ROWS)]


def summed(project: Project, number: int, **changes: Any) -> None:
    """A file of sums of day `number`, beside its telemetry."""
    columns = MODEL | {"feature": ["x", "colour"], "row_count": [300, 300], "absolute_sum": [270.0, 30.0]}
    columns |= {"signed_sum": [-270.0, 0.0]} | changes
    rows = {name: values if isinstance(values, list) else [values] * 2 for name, values in columns.items()}
    write_day(project.root / "explanations", number, rows)


@pytest.fixture
def explained(tmp_path: Path) -> Project:
    """A day of telemetry whose SHAP values are summed up already."""
    shap = {"path": "explanations"}
    project = Project(tmp_path / "project", telemetry={"path": "telemetry", "shap": shap})
    project.telemetry(1)
    summed(project, 1)
    return project


def test_sums_are_taken_as_they_are(explained: Project) -> None:
    explained.run(1, 1, until="profiles")
    rows = explained.rows(
        "select deployment, segment, feature, row_count, absolute_sum, signed_sum from importance_profile"
    )
    assert sorted(rows) == [
        ("production", "all", "colour", 300, 30.0, 0.0),
        ("production", "all", "x", 300, 270.0, -270.0),
    ]


def test_sums_that_come_late_are_worked_on(explained: Project) -> None:
    explained.run(1, 1, until="profiles")
    summed(explained, 1, absolute_sum=[900.0, 30.0])
    explained.run(1, 1, until="profiles")
    assert explained.rows("select max(absolute_sum) from importance_profile") == [(900.0,)]


@pytest.mark.parametrize(
    "change",
    [
        {"row_count": [0, 300]},
        {"absolute_sum": [200.0, 30.0]},
        {"absolute_sum": [np.inf, 30.0]},
        {"feature": [None, "x"]},
        {"row_count": ["many", "few"]},
    ],
    ids=["no rows", "smaller than its signed sum", "infinite", "no feature", "no number"],
)
def test_sums_that_cannot_be_are_refused_and_the_telemetry_is_not(explained: Project, change: dict[str, Any]) -> None:
    summed(explained, 1, **change)
    [profiles] = explained.run(1, 1, until="profiles")
    assert outcomes(profiles) == {day(1): "partial"}
    assert explained.rows("select count(*) from importance_profile") == [(0,)]
    assert explained.rows("select sum(row_count) from prediction_profile") == [(ROWS,)]
    [(source, expectation)] = explained.rows("select source, expectation from contract_checks where outcome = 'failed'")
    assert (source, expectation) == ("explanations", "file_is_readable")
