"""Windows are sums of days, and an outcome needs rows, a threshold and more than noise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from driftlake.binning import learn_category_bins
from driftlake.config import DriftSettings
from driftlake.divergence import STATISTICS, benjamini_hochberg, psi
from driftlake.drift import compare_with_training
from tests.data import GROUP, KEY, Row, day, model_version

# Coarse bins of a feature with two categories: missing, other, unseen, red, blue.
MISSING, RED, BLUE = 0, 3, 4
VERSION = model_version(
    [learn_category_bins(name, ["red", "blue"], np.array([500, 500])) for name in ("colour", "trim")],
    {"colour": [0, 0, 0, 500, 500], "trim": [0, 0, 0, 500, 500]},
)


def counts(number: int, feature: str = "colour", *, red: int = 0, blue: int = 0, missing: int = 0) -> list[Row]:
    """Rows of coarse_counts of one day."""
    binned = {RED: red, BLUE: blue, MISSING: missing}
    return [
        GROUP | {"dt": day(number), "feature": feature, "coarse_bin_id": bin_id, "row_count": count}
        for bin_id, count in binned.items()
        if count
    ]


def table(rows: list[Row]) -> pa.Table:
    types = {"dt": pa.date32(), "coarse_bin_id": pa.int32(), "row_count": pa.int64()}
    names = [*GROUP, "feature", *types]
    return pa.table({name: pa.array([row[name] for row in rows], types.get(name, pa.string())) for name in names})


def compare(
    rows: list[Row], *, first: int, last: int | None = None, settings: Mapping[str, Any] | None = None
) -> pa.Table:
    """Rows of feature_drift from day `first` to day `last`, of windows up to 28 days."""
    last = last or first
    in_reach = [row for row in rows if day(first - 27) <= row["dt"] <= day(last)]
    drift_settings = DriftSettings.model_validate({"windows_days": (1, 7, 28), **(settings or {})})
    feature_drift, _ = compare_with_training(
        table(in_reach), {KEY: VERSION}, drift_settings, first_day=day(first), last_day=day(last)
    )
    return feature_drift


def found(
    drift: pa.Table, *, window: int = 1, statistic: str = "psi", feature: str = "colour", number: int | None = None
) -> Row:
    """The one row of a comparison."""
    wanted = {"window_days": window, "statistic": statistic, "feature": feature}
    if number is not None:
        wanted["dt"] = day(number)
    [row] = [row for row in drift.to_pylist() if wanted.items() <= row.items()]
    return dict(row)


@pytest.mark.parametrize("statistic", STATISTICS)
def test_a_window_is_the_sum_of_its_days(statistic: str) -> None:
    # days 2 to 8 make the window; day 1 lies before it and is all blue
    history = counts(1, blue=9999) + [row for n in range(2, 9) for row in counts(n, red=90 + n, blue=100, missing=n)]
    summed = np.array([35, 0, 0, 7 * 90 + 35, 700])  # 2 + 3 + ... + 8 = 35
    expected = STATISTICS[statistic].compare(summed, np.array([0, 0, 0, 500, 500]), 0.5)
    row = found(compare(history, first=8), window=7, statistic=statistic)
    assert (row["value"], row["noise_floor"], row["p_value"]) == (
        expected.value,
        expected.noise_floor,
        expected.p_value,
    )
    assert (row["current_count"], row["reference_count"]) == (1400, 1000)


def test_days_without_predictions_do_not_shorten_a_window() -> None:
    row = found(compare(counts(1, red=300) + counts(7, blue=300), first=7), window=7)
    assert (row["value"], row["current_count"]) == (0, 600)


def test_a_range_of_days_gives_the_rows_of_its_days() -> None:
    history = [row for n in range(1, 11) for row in counts(n, red=10 * n, blue=300)]
    together = compare(history, first=1, last=10)
    one_by_one = pa.concat_tables([compare(history, first=n) for n in range(1, 11)])
    order = [("dt", "ascending"), ("window_days", "ascending"), ("statistic", "ascending"), ("feature", "ascending")]
    assert together.sort_by(order).equals(one_by_one.sort_by(order))


def test_two_runs_on_the_same_counts_give_identical_tables() -> None:
    history = [row for n in range(1, 11) for row in counts(n, red=10 * n, blue=300)]
    assert compare(history, first=1, last=10).equals(compare(history, first=1, last=10))


def test_the_order_of_the_counts_does_not_matter() -> None:
    history = [row for n in range(1, 11) for row in counts(n, red=10 * n, blue=300)]
    assert compare(history[::-1], first=1, last=10).equals(compare(history, first=1, last=10))


def test_few_rows_are_insufficient_data() -> None:
    row = found(compare(counts(1, red=199), first=1))
    assert (row["outcome"], row["reason"]) == ("insufficient_data", "fewer than 200 rows in the window")


def test_the_smallest_sufficient_sample_is_judged() -> None:
    row = found(compare(counts(1, red=200), first=1))
    assert (row["outcome"], row["reason"]) == ("drift", None)


def test_a_window_without_predictions_is_insufficient_data() -> None:
    row = found(compare(counts(1, red=300, blue=300), first=2))
    assert (row["value"], row["outcome"], row["reason"]) == (
        None,
        "insufficient_data",
        "no predictions in the window",
    )


def test_a_window_is_judged_only_if_its_last_day_has_predictions() -> None:
    history = [row for n in range(1, 7) for row in counts(n, red=300, blue=300)]
    row = found(compare(history, first=7), window=7)
    assert (row["value"], row["outcome"], row["reason"]) == (0, "insufficient_data", "no predictions on the day")


def test_a_window_that_lacks_three_weekdays_is_insufficient_data() -> None:
    history = [row for n in range(4, 8) for row in counts(n, red=300, blue=300)]
    row = found(compare(history, first=7), window=7)
    assert (row["outcome"], row["reason"]) == ("insufficient_data", "predictions on fewer than 5 of 7 days")
    assert row["current_day_count"] == 4


def test_a_window_that_lacks_two_days_of_28_is_judged() -> None:
    history = [row for n in range(3, 29) for row in counts(n, red=300, blue=300)]
    assert found(compare(history, first=28), window=28)["outcome"] == "stable"


def test_a_service_of_five_days_a_week_can_be_judged() -> None:
    history = [row for n in range(3, 8) for row in counts(n, red=300, blue=300)]
    assert found(compare(history, first=7), window=7)["outcome"] == "stable"


def test_a_score_without_training_scores_is_insufficient_data() -> None:
    rows = table(counts(1, red=300) + counts(1, "score", red=300))
    _, scores = compare_with_training(
        rows, {KEY: VERSION}, DriftSettings(windows_days=(1,)), first_day=day(1), last_day=day(1)
    )
    assert set(scores["reason"].to_pylist()) == {"no training values to compare with"}


def test_a_shift_below_the_noise_floor_is_stable() -> None:
    # two thirds red instead of one half is a PSI of 1/6 ln(4/3) + 1/6 ln(3/2) = 0.116, and chance at 30 rows
    row = found(compare(counts(1, red=20, blue=10), first=1, settings={"minimum_rows": 30}))
    assert row["warn_threshold"] < row["value"] < row["noise_floor"]
    assert row["outcome"] == "stable"


def test_the_same_shift_of_many_rows_is_a_warning() -> None:
    row = found(compare(counts(1, red=2000, blue=1000), first=1))
    assert row["noise_floor"] < row["warn_threshold"] < row["value"] < row["drift_threshold"]
    assert row["outcome"] == "warn"


def test_a_shift_beyond_the_drift_threshold_is_drift() -> None:
    assert found(compare(counts(1, red=3000, blue=1000), first=1))["outcome"] == "drift"


def test_a_significant_shift_below_the_thresholds_is_stable() -> None:
    row = found(compare(counts(1, red=5600, blue=4400), first=1))
    assert row["noise_floor"] < row["value"] < row["warn_threshold"]
    assert row["outcome"] == "stable"


def test_fewer_missing_values_than_in_training_are_drift_too() -> None:
    version = model_version(
        [learn_category_bins("colour", ["red", "blue"], np.array([250, 250]))], {"colour": [500, 0, 0, 250, 250]}
    )
    drift, _ = compare_with_training(
        table(counts(1, red=300, blue=300)),
        {KEY: version},
        DriftSettings(windows_days=(1,)),
        first_day=day(1),
        last_day=day(1),
    )
    row = found(drift, statistic="missing_rate_change")
    assert (row["value"], row["outcome"]) == (-0.5, "drift")


def test_q_values_are_over_the_features_of_one_day_and_window() -> None:
    history = counts(1, red=300, blue=250) + counts(1, "trim", red=300, blue=300) + counts(2, red=900)
    drift = compare(history, first=1, last=2)
    rows = [found(drift, feature=feature, number=1) for feature in ("colour", "trim")]
    expected = benjamini_hochberg(np.array([row["p_value"] for row in rows]))
    assert [row["q_value"] for row in rows] == expected.tolist()


def test_a_feature_that_was_not_counted_is_no_test() -> None:
    row = found(compare(counts(1, red=300, blue=250), first=1))
    assert row["q_value"] == row["p_value"]


def test_a_version_disappears_when_its_longest_window_has_no_predictions() -> None:
    drift = compare(counts(1, red=300, blue=300), first=1, last=40)
    assert set(drift["dt"].to_pylist()) == {day(n) for n in range(1, 29)}


def test_smoothing_is_taken_from_the_settings() -> None:
    row = found(compare(counts(1, red=300, blue=100), first=1, settings={"smoothing": 10.0}))
    assert row["value"] == psi(np.array([300, 100]), np.array([500, 500]), 10.0).value


def test_each_deployment_is_compared_for_itself() -> None:
    shadow = [row | {"deployment": "shadow"} for row in counts(1, blue=300)]
    drift = compare(counts(1, red=300) + shadow, first=1)
    assert set(drift.select(["deployment"]).column(0).to_pylist()) == {"production", "shadow"}
    assert set(drift.filter(pa.array(np.array(drift["window_days"]) == 1))["current_count"].to_pylist()) == {0, 300}
