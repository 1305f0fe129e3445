"""Windows are sums of days, and an outcome needs rows, a threshold and more than noise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from data import GROUP, Row, bucketed, day, model_version

from driftlake.config import DriftSettings
from driftlake.drift.comparison import buckets_of, compare_windows
from driftlake.drift.windows import reference_reach_days
from driftlake.lineage.versions import ModelVersion
from driftlake.maths.binning import learn_category_bins
from driftlake.maths.divergence import benjamini_hochberg, psi
from driftlake.maths.drift_statistics import STATISTICS, Sides

# Coarse bins of a feature with two categories: missing, other, unseen, red, blue.
MISSING, RED, BLUE = 0, 3, 4
VERSION = model_version(
    [learn_category_bins(name, ["red", "blue"], np.array([500, 500])) for name in ("colour", "trim")],
    {"colour": [0, 0, 0, 500, 500], "trim": [0, 0, 0, 500, 500]},
)


def counts(number: int, feature: str = "colour", *, red: int = 0, blue: int = 0, missing: int = 0) -> list[Row]:
    """Counts of one day."""
    binned = {RED: red, BLUE: blue, MISSING: missing}
    return [
        GROUP | {"dt": day(number), "feature": feature, "bin_id": bin_id, "row_count": count}
        for bin_id, count in binned.items()
        if count
    ]


def compare(
    rows: list[Row],
    *,
    first: int,
    last: int | None = None,
    settings: Mapping[str, Any] | None = None,
    version: ModelVersion = VERSION,
    other: ModelVersion | None = None,
    scores: bool = False,
) -> pa.Table:
    """Rows of feature_drift (or of prediction_drift) from day `first` to day `last`, of windows up to 28 days."""
    drift_settings = DriftSettings.model_validate({"windows_days": (1, 7, 28), **(settings or {})})
    days = [day(number) for number in range(first, (last or first) + 1)]
    buckets = buckets_of(days, drift_settings)
    versions = {
        (registered.model_id, registered.model_version): registered
        for registered in (version, other)
        if registered is not None
    }
    profiles = bucketed(rows, buckets, versions)
    return compare_windows(profiles, profiles.counts, drift_settings, days)[scores]


def found(
    drift: pa.Table,
    *,
    window: int = 1,
    statistic: str = "psi",
    feature: str = "colour",
    number: int | None = None,
    reference: str = "training",
) -> Row:
    """The one row of a comparison."""
    wanted = {"window_days": window, "statistic": statistic, "feature": feature, "reference": reference}
    if number is not None:
        wanted["dt"] = day(number)
    [row] = [row for row in drift.to_pylist() if wanted.items() <= row.items()]
    return dict(row)


@pytest.mark.parametrize("statistic", DriftSettings().statistics.categorical)
def test_a_window_is_the_sum_of_its_days(statistic: str) -> None:
    # days 2 to 8 make the window; day 1 lies before it and is all blue
    history = counts(1, blue=9999) + [row for n in range(2, 9) for row in counts(n, red=90 + n, blue=100, missing=n)]
    summed = np.array([35, 0, 0, 7 * 90 + 35, 700])  # 2 + 3 + ... + 8 = 35
    training = np.array([0, 0, 0, 500, 500])
    expected = STATISTICS[statistic].compare(Sides(summed, training, summed, training, np.full(3, np.nan), 0.5))
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
        "no values in the window",
    )


def test_a_window_is_judged_only_if_its_last_day_has_predictions() -> None:
    history = [row for n in range(1, 7) for row in counts(n, red=300, blue=300)]
    row = found(compare(history, first=7), window=7)
    assert (row["value"], row["outcome"], row["reason"]) == (0, "insufficient_data", "no values on the day")


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
    scores = compare(counts(1, red=300) + counts(1, "score", red=300), first=1, scores=True)
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
    drift = compare(counts(1, red=300, blue=300), first=1, version=version)
    row = found(drift, statistic="missing_rate_change")
    assert (row["value"], row["outcome"]) == (-0.5, "drift")


def test_q_values_are_over_the_features_of_one_day_and_window() -> None:
    history = counts(1, red=300, blue=250) + counts(1, "trim", red=300, blue=300) + counts(2, red=900)
    drift = compare(history, first=1, last=2)
    rows = [found(drift, feature=feature, number=1) for feature in ("colour", "trim")]
    expected = benjamini_hochberg(np.array([row["p_value"] for row in rows]))
    assert [row["q_value"] for row in rows] == expected.tolist()


def test_a_feature_that_was_not_counted_is_not_tested() -> None:
    row = found(compare(counts(1, red=300, blue=250), first=1))
    assert row["q_value"] == row["p_value"]


def test_a_version_disappears_when_its_longest_window_has_no_predictions() -> None:
    drift = compare(counts(1, red=300, blue=300), first=1, last=40)
    assert set(drift["dt"].to_pylist()) == {day(n) for n in range(1, 29)}


def test_smoothing_is_taken_from_the_settings() -> None:
    row = found(compare(counts(1, red=300, blue=100), first=1, settings={"smoothing": 10.0}))
    assert row["value"] == psi(np.array([300, 100]), np.array([500, 500]), 10.0).value


def test_each_deployment_is_compared_separately() -> None:
    shadow = [row | {"deployment": "shadow"} for row in counts(1, blue=300)]
    drift = compare(counts(1, red=300) + shadow, first=1)
    assert set(drift.select(["deployment"]).column(0).to_pylist()) == {"production", "shadow"}
    assert set(drift.filter(pa.array(np.array(drift["window_days"]) == 1))["current_count"].to_pylist()) == {0, 300}


# --- references other than training ---


def daily(first: int, last: int, **colours: int) -> list[Row]:
    return [row for number in range(first, last + 1) for row in counts(number, **colours)]


def against(reference: Any, history: list[Row], *, on: int, window: int = 7) -> Row:
    """The PSI against one reference, whose name is taken from it."""
    drift = compare(history, first=on, settings={"references": [reference], "windows_days": [window]})
    name = reference if isinstance(reference, str) else reference["name"]
    return found(drift, window=window, reference=name)


def test_the_preceding_window_is_the_one_that_ends_where_the_window_begins() -> None:
    # days 1 to 7 are red, days 8 to 14 blue, and the window is the second week
    row = against("preceding", daily(1, 7, red=300) + daily(8, 14, blue=300), on=14)
    assert (row["current_count"], row["reference_count"]) == (2100, 2100)
    assert row["value"] == psi(np.array([0, 2100]), np.array([2100, 0])).value


def test_four_weeks_before_is_the_same_weekdays() -> None:
    row = against("four_weeks_before", daily(1, 1, red=300) + daily(2, 29, blue=300), on=29, window=1)
    assert row["value"] == psi(np.array([0, 300]), np.array([300, 0])).value


def test_a_window_of_more_than_four_weeks_goes_back_by_eight() -> None:
    row = against("four_weeks_before", daily(1, 56, red=10) + daily(57, 96, blue=10), on=96, window=40)
    assert (row["current_count"], row["reference_count"], row["outcome"]) == (400, 400, "drift")


def test_a_period_is_compared_with_whatever_the_window() -> None:
    period = {"name": "good", "first_day": day(1), "last_day": day(2)}
    row = against(period, daily(1, 2, red=300) + daily(20, 26, blue=300), on=26)
    assert (row["current_count"], row["reference_count"]) == (2100, 600)


def test_days_of_a_period_that_are_in_the_window_are_left_out_of_it() -> None:
    period = {"name": "good", "first_day": day(1), "last_day": day(10)}
    row = against(period, daily(1, 14, red=300), on=14)
    # the window has days 8 to 14, so the period has days 1 to 7 left
    assert (row["current_count"], row["reference_count"]) == (2100, 2100)


def test_a_window_that_covers_its_reference_has_no_reference() -> None:
    period = {"name": "good", "first_day": day(8), "last_day": day(14)}
    row = against(period, daily(1, 14, red=300), on=14)
    assert (row["value"], row["reason"]) == (None, "no values in the reference")


def test_a_reference_of_few_days_is_insufficient_data() -> None:
    row = against("preceding", daily(6, 14, red=300), on=14)
    assert (row["outcome"], row["reason"]) == ("insufficient_data", "predictions on too few days of the reference")


def test_several_references_have_rows_of_their_own() -> None:
    drift = compare(daily(1, 14, red=300), first=14, settings={"references": ["training", "preceding"]})
    assert set(drift["reference"].to_pylist()) == {"training", "preceding"}


def test_a_statistic_without_thresholds_warns_beyond_its_noise() -> None:
    settings = {"statistics": {"categorical": ["g_statistic"]}}
    shifted = compare(counts(1, red=600, blue=400), first=1, settings=settings)
    assert found(shifted, statistic="g_statistic")["outcome"] == "warn"
    level = compare(counts(1, red=510, blue=490), first=1, settings=settings)
    assert found(level, statistic="g_statistic")["outcome"] == "stable"


def test_days_of_a_period_after_the_window_were_not_known_yet() -> None:
    period = {"name": "good", "first_day": day(1), "last_day": day(20)}
    row = against(period, daily(1, 7, red=300) + daily(8, 20, blue=300), on=7, window=1)
    assert (row["current_count"], row["reference_count"], row["value"]) == (300, 1800, 0)


def test_a_period_that_lies_ahead_has_nothing_to_compare_with() -> None:
    period = {"name": "good", "first_day": day(10), "last_day": day(20)}
    row = against(period, daily(1, 20, red=300), on=7, window=1)
    assert row["reason"] == "no values in the reference"


CHAMPION = {"name": "champion", "model_version": "v0"}


def rival(categories: list[str], counted: list[int], feature: str = "colour") -> ModelVersion:
    """Version v0 with one feature of some categories."""
    bins = learn_category_bins(feature, categories, np.array(counted))
    return replace(model_version([bins], {feature: [0, 0, 0, *sorted(counted, reverse=True)]}), model_version="v0")


def of_rival(rows: list[Row]) -> list[Row]:
    return [row | {"model_version": "v0"} for row in rows]


def against_champion(
    history: list[Row], other: ModelVersion, *, window: int = 1, on: int = 1, **given: Any
) -> pa.Table:
    settings = {"references": [CHAMPION], "windows_days": [window]}
    return compare(history, first=on, settings=settings, other=other, **given)


def test_another_version_is_compared_on_the_same_days() -> None:
    champion = of_rival(daily(1, 14, red=300) + daily(15, 20, blue=300))
    drift = against_champion(daily(8, 14, blue=300) + champion, rival(["red", "blue"], [500, 500]), window=7, on=14)
    row = found(drift, window=7, reference="champion")
    assert (row["current_count"], row["reference_count"], row["outcome"]) == (2100, 2100, "drift")
    assert row["value"] == psi(np.array([0, 2100]), np.array([2100, 0])).value


def test_categories_with_other_ranks_are_the_same_categories() -> None:
    # equally frequent categories are ranked by name, here red comes first: both versions see the same rows
    champion = of_rival(counts(1, red=100, blue=200))
    drift = against_champion(counts(1, red=200, blue=100) + champion, rival(["red", "blue"], [900, 100]))
    assert found(drift, reference="champion")["value"] == 0


def test_a_feature_in_other_bins_is_insufficient_data() -> None:
    champion = of_rival(counts(1, blue=100, red=200))
    drift = against_champion(counts(1, blue=100, red=200) + champion, rival(["red", "green"], [500, 500]))
    row = found(drift, reference="champion")
    assert (row["value"], row["reference_count"], row["outcome"]) == (None, 0, "insufficient_data")
    assert row["reason"] == "version v0 has other bins"


def test_a_feature_that_the_other_version_lacks_is_insufficient_data() -> None:
    history = counts(1, red=300) + of_rival(counts(1, "trim", red=300))
    row = found(against_champion(history, rival(["red", "blue"], [500, 500], "trim")), reference="champion")
    assert (row["outcome"], row["reason"]) == ("insufficient_data", "version v0 does not have the feature")


def test_scores_of_versions_are_compared_in_the_bins_that_all_probabilities_have() -> None:
    scores = [row | {"feature": "score", "bin_id": 3 + row["bin_id"]} for row in counts(1, red=300, blue=100)]
    moved = [row | {"bin_id": row["bin_id"] + 200} for row in scores]
    [row] = [
        row
        for row in against_champion(scores + of_rival(moved), rival(["red"], [1]), scores=True).to_pylist()
        if row["statistic"] == "ks_distance"
    ]
    assert (row["value"], row["reference_count"], row["outcome"]) == (1, 400, "drift")


def test_a_version_is_not_compared_with_itself() -> None:
    shadow = [row | {"deployment": "shadow"} for row in of_rival(counts(1, red=300))]
    drift = against_champion(of_rival(counts(1, red=300)) + shadow, rival(["red", "blue"], [500, 500]))
    assert drift.num_rows == 0


def test_any_deployment_is_compared_with_the_other_version_in_production() -> None:
    shadow = [row | {"deployment": "shadow"} for row in counts(1, blue=300)]
    champion = of_rival(counts(1, red=300))
    elsewhere = [row | {"deployment": "canary"} for row in of_rival(counts(1, blue=300))]
    drift = against_champion(shadow + champion + elsewhere, rival(["red", "blue"], [500, 500]))
    row = found(drift, reference="champion")
    assert (row["deployment"], row["reference_count"]) == ("shadow", 300)
    assert row["value"] == psi(np.array([0, 300]), np.array([300, 0])).value


def test_another_version_without_predictions_is_insufficient_data() -> None:
    drift = against_champion(counts(1, red=300), rival(["red", "blue"], [500, 500]))
    assert found(drift, reference="champion")["reason"] == "no values in the reference"


@pytest.mark.parametrize("window", [1, 7, 40])
@pytest.mark.parametrize(
    "reference",
    ["training", "preceding", "four_weeks_before", {"name": "good", "first_day": day(1), "last_day": day(9)}, CHAMPION],
    ids=str,
)
def test_no_comparison_looks_further_back_than_its_stage_says(reference: Any, window: int) -> None:
    settings = DriftSettings.model_validate({"windows_days": [window], "references": [reference]})
    [asked] = settings.references
    reach = timedelta(days=reference_reach_days(asked, window))
    assert buckets_of([day(100)], settings).edges[0] >= day(100) - reach


def test_groups_that_are_compared_together_get_the_rows_of_each_alone() -> None:
    production = [row for n in range(1, 9) for row in counts(n, red=60 + n, blue=50, missing=n)]
    canary = [row | {"deployment": "canary"} for n in range(1, 9) for row in counts(n, "trim", red=90, blue=30 + n)]
    alone = [row for rows in (canary, production) for row in compare(rows, first=1, last=8).to_pylist()]
    together = compare(canary + production, first=1, last=8).to_pylist()
    assert sorted(together, key=repr) == sorted(alone, key=repr)
