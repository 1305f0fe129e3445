"""Odd training data and telemetry give a defined row or a clear refusal, never an exception."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from data import day
from project import ROWS, Project, outcomes

from driftlake.errors import InputError

TRAINED = 2000
LONG = ["ü" * 10_000, "😀'\"\\;--"]
NUMBERS = np.random.default_rng(1).normal(size=TRAINED)
# feature: training values, and those of a day with ROWS predictions; None is a missing column
FEATURES: dict[str, tuple[Any, Any]] = {
    "all_null": (NUMBERS, pa.array([None] * ROWS, pa.float64())),
    "all_null_without_type": (NUMBERS, pa.nulls(ROWS)),
    "all_null_category_without_type": (["a", "b"] * (TRAINED // 2), pa.nulls(ROWS)),
    "all_null_in_training": (pa.array([None] * TRAINED, pa.string()), ["a"] * ROWS),
    "constant": ([7.0] * TRAINED, [7.0] * ROWS),
    "constant_that_moved": ([7.0] * TRAINED, [8.0] * ROWS),
    "only_in_training": (NUMBERS, None),
    "only_in_telemetry": (None, NUMBERS[:ROWS]),
    "infinite": (NUMBERS, [np.inf, -np.inf, np.nan] * (ROWS // 3)),
    "infinite_in_training": ([np.inf, -np.inf, np.nan, 1.0] * (TRAINED // 4), [1.0] * ROWS),
    "empty_text": (["", "a"] * (TRAINED // 2), ["", "a"] * (ROWS // 2)),
    "long_text": (LONG * (TRAINED // 2), LONG * (ROWS // 2)),
    "boolean_as_text": ([True, False] * (TRAINED // 2), ["true", "false"] * (ROWS // 2)),
    "boolean_in_other_words": ([True, False] * (TRAINED // 2), ["yes", "no"] * (ROWS // 2)),
    "decimal": ([Decimal("1.10"), Decimal("2.25")] * (TRAINED // 2), [1.1, 2.25] * (ROWS // 2)),
    "date": (NUMBERS, [date(2024, 1, 1)] * ROWS),
    "instant": (["a", "b"] * (TRAINED // 2), [datetime(2024, 1, 1)] * ROWS),
    "list": (NUMBERS, [[1.0]] * ROWS),
}
UNDEFINED = ("insufficient_data", "the statistic is not defined for these counts")
ABSENT = ("insufficient_data", "no values in the window")


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A night with every odd feature, compared with its training."""
    training = {name: values for name, (values, _) in FEATURES.items() if values is not None}
    statistics = {
        "numeric": ["psi", "wasserstein_distance", "missing_rate_change", "below_range_change", "above_range_change"],
        "categorical": ["psi", "missing_rate_change", "unseen_change"],
    }
    drift = {"windows_days": [1], "statistics": statistics}
    project = Project(tmp_path_factory.mktemp("night") / "project", training=training, drift=drift)
    project.telemetry(1, score=pa.nulls(ROWS), **{name: values for name, (_, values) in FEATURES.items()})
    project.run(1, 1, until="drift")
    return project


@pytest.mark.parametrize(
    ("feature", "statistic", "value", "judged"),
    [
        ("all_null", "missing_rate_change", 1, ("drift", None)),
        ("all_null", "wasserstein_distance", None, UNDEFINED),
        ("all_null_without_type", "missing_rate_change", 1, ("drift", None)),
        ("all_null_category_without_type", "missing_rate_change", 1, ("drift", None)),
        ("all_null_in_training", "unseen_change", 1, ("drift", None)),
        ("constant", "psi", 0, ("stable", None)),
        # a single training value has no standard deviation to measure distances in
        ("constant", "wasserstein_distance", None, UNDEFINED),
        ("constant_that_moved", "above_range_change", 1, ("drift", None)),
        ("constant_that_moved", "wasserstein_distance", None, UNDEFINED),
        ("only_in_training", "psi", None, ABSENT),
        ("infinite", "above_range_change", 1 / 3, ("drift", None)),
        ("infinite", "below_range_change", 1 / 3, ("drift", None)),
        ("infinite", "missing_rate_change", 1 / 3, ("drift", None)),
        ("infinite_in_training", "above_range_change", -1 / 4, ("drift", None)),
        ("empty_text", "psi", 0, ("stable", None)),
        ("empty_text", "missing_rate_change", 0, ("stable", None)),
        ("long_text", "psi", 0, ("stable", None)),
        ("long_text", "unseen_change", 0, ("stable", None)),
        ("boolean_as_text", "unseen_change", 0, ("stable", None)),
        ("boolean_in_other_words", "unseen_change", 1, ("drift", None)),
        ("decimal", "psi", 0, ("stable", None)),
        ("date", "psi", None, ABSENT),
        ("instant", "psi", None, ABSENT),
        ("list", "psi", None, ABSENT),
    ],
)
def test_an_odd_feature_has_a_defined_row(
    night: Project, feature: str, statistic: str, value: float | None, judged: tuple[str, str | None]
) -> None:
    [row] = night.rows(
        "select value, outcome, reason from feature_drift where feature = ? and statistic = ?", feature, statistic
    )
    assert row[0] == (None if value is None else pytest.approx(value, abs=1e-4))
    assert row[1:] == judged


def test_a_column_that_is_not_a_feature_has_no_rows(night: Project) -> None:
    assert night.rows("select * from feature_profile where feature = 'only_in_telemetry'") == []


def test_features_that_could_not_be_counted_are_named(night: Project) -> None:
    [(outcome, reason)] = night.rows("select outcome, reason from partition_runs where stage = 'profiles'")
    assert outcome == "partial"
    assert "has no column only_in_training" in reason
    for feature, kind in [("date", "date32[day]"), ("instant", "timestamp[us]"), ("list", "list<element: double>")]:
        assert f"column {feature} has type {kind}, expected" in reason


def test_predictions_without_any_score_are_counted_as_missing(night: Project) -> None:
    assert night.rows(
        "select value, current_count, outcome from prediction_drift where statistic = 'missing_rate_change'"
    ) == [(1, ROWS, "drift")]


def test_a_day_of_one_row_is_counted_and_not_judged(tmp_path: Path) -> None:
    project = Project(tmp_path / "project")
    project.telemetry(1, x=[0.0])
    profiles, *_ = project.run(1, 1, until="drift")
    assert outcomes(profiles) == {day(1): "complete"}
    assert set(project.rows("select outcome, reason from feature_drift where window_days = 1")) == {
        ("insufficient_data", "fewer than 200 rows in the window")
    }


def test_a_day_of_unregistered_versions_alone_is_no_reason_to_stop(tmp_path: Path) -> None:
    project = Project(tmp_path / "project", telemetry={"path": "telemetry", "segments": ["colour"]})
    project.telemetry(1)
    project.telemetry(2, model_version=["v9"] * ROWS)
    [profiled] = project.run(1, 2, until="profiles")
    assert outcomes(profiled) == {day(1): "complete", day(2): "complete"}


def test_a_hundred_thousand_categories_are_known_and_the_rest_is_unseen(tmp_path: Path) -> None:
    known = [f"c{number}" for number in range(100_000)]
    project = Project(
        tmp_path / "project", training={"code": known}, drift={"windows_days": [1]}, contracts={"enabled": False}
    )
    project.telemetry(1, code=[*known[:400], *(f"new {number}" for number in range(100))])
    project.run(1, 1, until="drift")
    rows = project.rows(
        "select bin_kind, sum(row_count)::int from feature_profile join feature_bins"
        " using (model_id, model_version, feature, bin_id) where feature = 'code' group by bin_kind"
    )
    assert dict(rows)["unseen"] == 100
    assert sum(count for _, count in rows) == 500
    assert project.rows("select distinct statistic from feature_drift where feature = 'code' and outcome = 'drift'")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            pa.array([None, None], pa.float64()),
            "feature odd has no finite value, so no bins can be learned",
        ),
        ([np.inf, np.nan], "feature odd has no finite value, so no bins can be learned"),
        (pa.nulls(2), "feature odd has type null, which cannot be binned"),
        ([date(2024, 1, 1)] * 2, "feature odd has type date32[day], which cannot be binned"),
        ([datetime(2024, 1, 1)] * 2, "feature odd has type timestamp[us], which cannot be binned"),
        ([[1.0], [2.0]], "feature odd has type list<element: double>, which cannot be binned"),
    ],
    ids=str,
)
def test_training_data_without_information_is_refused_naming_the_feature(
    tmp_path: Path, values: Any, message: str
) -> None:
    with pytest.raises(InputError) as caught:
        Project(tmp_path / "project", training={"odd": values})
    assert message in caught.value.message
    assert caught.value.hint
