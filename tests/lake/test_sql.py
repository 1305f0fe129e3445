"""The statements of sql/ on a few rows (those of labels: test_labels.py), and the counts of the kernel recounted in SQL."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from data import GROUP, MODEL, TRAINING_RUN, Row, day, given, insert
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st
from signals_and_rules import RULE, RULE_COLUMNS, SIGNAL, SIGNAL_COLUMNS, alerts_of

from driftlake.drift.bucket_history import groups_table
from driftlake.lake import queries, schema
from driftlake.lake.warehouse import Warehouse
from driftlake.maths.binning import PROBABILITY_GRID, FeatureBins, Floats, probability_bins
from driftlake.maths.numeric_bins import learn_numeric_bins
from driftlake.profiles.kernel import count_column


def rows_of(db: duckdb.DuckDBPyConnection, name: str, *columns: str, **values: Any) -> list[Any]:
    """Result of sql/<name>.sql: tuples of `columns`, or values if it is one column."""
    result = queries.run(db, name, **values).to_arrow_table()
    listed = zip(*(result[column].to_pylist() for column in columns), strict=True)
    return [row if len(columns) > 1 else row[0] for row in listed]


# --- backlog ---


def given_backlog(memory: Warehouse) -> None:
    """100 predictions on each of three days; 10 and then 20 labels for the first, 40 for the second, some late."""
    insert(memory.connection, "training_runs", [TRAINING_RUN])
    insert(
        memory.connection,
        "prediction_profile",
        [GROUP | {"dt": day(n), "bin_id": 100, "row_count": 100, "score_sum": 50.0} for n in (1, 2, 3)],
    )
    insert(
        memory.connection,
        "label_cohorts",
        [
            GROUP
            | {"dt": day(known), "prediction_on": day(predicted), "bin_id": 100, "score_sum": 1.0}
            | {"positive_count": 4, "negative_count": count - 4}
            for known, predicted, count in [(2, 1, 10), (3, 1, 20), (3, 2, 40), (4, 3, 90)]
        ],
    )


def backlog(memory: Warehouse, *columns: str, on: int = 3, age: str = "all", horizon_days: int = 60) -> list[Any]:
    found = memory.query("quality/label_backlog", first_day=day(on), last_day=day(on), horizon_days=horizon_days)
    return [tuple(row[c] for c in columns) for row in found.to_pylist() if row["age_bucket"] == age]


def test_outstanding_predictions_are_those_without_a_label_by_the_end_of_the_day(memory: Warehouse) -> None:
    given_backlog(memory)
    assert backlog(memory, "prediction_count", "labelled_count", "outstanding_count") == [(300, 70, 230)]


@pytest.mark.parametrize(
    ("on", "allowed", "overdue"),
    [(1, 100, 0), (2, 100, 0), (3, 50, 0), (4, 50, 0), (5, 5, 95), (6, 5, 95), (7, 0, 100), (8, 0, 100)],
)
def test_each_promised_percentile_demands_labels_from_its_age_until_the_next(
    memory: Warehouse, on: int, allowed: int, overdue: int
) -> None:
    # labels of day 1 are promised for half of the 100 predictions by age 2, for 95 % by age 4, for all by age 6
    insert(memory.connection, "training_runs", [TRAINING_RUN])
    insert(
        memory.connection,
        "prediction_profile",
        [GROUP | {"dt": day(1), "bin_id": 3, "row_count": 100, "score_sum": 1.0}],
    )
    found = backlog(memory, "expected_outstanding_count", "overdue_count", on=on)
    assert found == [(pytest.approx(allowed), pytest.approx(overdue))]


def test_ages_that_lack_less_than_promised_make_up_for_those_that_lack_more(memory: Warehouse) -> None:
    given_backlog(memory)
    # day 5: day 1 has 70 outstanding where 5 may be; the 60 of day 2 and the 10 of day 3 are too young
    assert backlog(memory, "overdue_count", "noise_share", on=5) == [(65, pytest.approx(2 * 21.79449 / 300))]
    # day 6: day 2 has 60 where 5 may be; day 7: day 1 may have none
    insert(
        memory.connection,
        "label_cohorts",
        [
            GROUP
            | {"dt": day(6), "prediction_on": day(1), "bin_id": 100, "score_sum": 1.0}
            | {"positive_count": 70, "negative_count": 0}
        ],
    )
    assert backlog(memory, "overdue_count", "overdue_share", on=6) == [(60 - 5 - 5, 50 / 300)]


def test_newly_due_are_the_predictions_of_the_seven_days_that_reached_the_95th_percentile(memory: Warehouse) -> None:
    given_backlog(memory)
    assert [backlog(memory, "prediction_count", on=on, age="due") for on in (4, 5, 7, 11, 12, 14)] == [
        [],
        [(100,)],
        [(300,)],
        [(300,)],
        [(200,)],
        [],
    ]


def test_growth_is_the_change_since_the_day_before(memory: Warehouse) -> None:
    given_backlog(memory)
    # 90 + 100 were outstanding on day 2
    assert backlog(memory, "growth_count") == [(230 - 190,)]


def test_the_backlog_of_a_range_of_days_is_that_of_its_days(memory: Warehouse) -> None:
    given_backlog(memory)
    one_by_one = [
        memory.query("quality/label_backlog", first_day=day(n), last_day=day(n), horizon_days=60) for n in (1, 2, 3)
    ]
    together = memory.query("quality/label_backlog", first_day=day(1), last_day=day(3), horizon_days=60)
    assert together.to_pylist() == pa.concat_tables(one_by_one).to_pylist()


def test_growth_on_the_first_day_is_all_that_is_outstanding(memory: Warehouse) -> None:
    given_backlog(memory)
    assert backlog(memory, "growth_count", on=1) == [(100,)]


def test_the_backlog_is_split_by_age(memory: Warehouse) -> None:
    given_backlog(memory)
    assert [backlog(memory, "outstanding_count", age=age) for age in ("0", "1", "2-3")] == [[(100,)], [(60,)], [(70,)]]


def test_predictions_beyond_the_horizon_leave_the_backlog(memory: Warehouse) -> None:
    given_backlog(memory)
    assert backlog(memory, "outstanding_count", horizon_days=1) == [(160,)]


def test_nothing_is_overdue_where_no_delay_is_promised(memory: Warehouse) -> None:
    given_backlog(memory)
    memory.connection.execute("update training_runs set label_delay_p50_days = null")
    assert backlog(memory, "expected_outstanding_count", "overdue_count", "overdue_share") == [(None, None, None)]


# --- quality ---


def given_cohorts(memory: Warehouse, *rows: tuple[int, int, int]) -> None:
    """Positives, as (day known, day predicted, count)."""
    given_rows = [
        GROUP
        | {"dt": day(known), "prediction_on": day(predicted), "positive_count": count, "negative_count": 0}
        | {"bin_id": 100, "score_sum": 0.5 * count}
        for known, predicted, count in rows
    ]
    insert(memory.connection, "label_cohorts", given_rows)


def positives(memory: Warehouse, on: int, window_days: int) -> int:
    found = memory.query("quality/quality_counts", first_day=day(on), last_day=day(on), windows_days=[window_days])
    return sum(found["positive_count"].to_pylist())


def test_a_label_that_arrives_later_is_not_counted(memory: Warehouse) -> None:
    given_cohorts(memory, (2, 1, 5), (4, 2, 9))
    assert [positives(memory, on, window_days=7) for on in (1, 2, 3, 4)] == [0, 5, 5, 14]


def test_a_window_holds_the_predictions_of_its_days(memory: Warehouse) -> None:
    given_cohorts(memory, (3, 1, 1), (3, 2, 10), (3, 3, 100))
    assert [positives(memory, 3, window_days) for window_days in (1, 2, 3)] == [100, 110, 111]


def test_the_coverage_of_a_window_is_of_the_predictions_of_its_days(memory: Warehouse) -> None:
    insert(memory.connection, "training_runs", [TRAINING_RUN])
    rows = [(1, 3, 1), (2, 3, 10), (2, 4, 20), (3, 3, 100)]
    insert(
        memory.connection,
        "prediction_profile",
        [GROUP | {"dt": day(n), "bin_id": b, "row_count": count, "score_sum": 0.0} for n, b, count in rows],
    )
    found = memory.query("quality/window_predictions", first_day=day(3), last_day=day(3), windows_days=[1, 2, 3])
    assert found["prediction_count"].to_pylist() == [100, 130, 131]


def test_counts_are_summed_over_the_days_of_a_bucket(memory: Warehouse) -> None:
    row = GROUP | {"feature": "age", "bin_id": 3}
    days = {1: 1, 2: 10, 3: 100, 9: 1000}
    rows = [row | {"dt": day(number), "row_count": count} for number, count in days.items()]
    insert(memory.connection, "feature_profile", rows)
    buckets = pa.table({"dt": [day(1), day(2), day(3)], "bucket": [0, 0, 1]})
    groups = groups_table([tuple(GROUP.values())])
    features = pa.Table.from_pylist([MODEL | {"feature": "age", "feature_id": 0}])
    with memory.registered(buckets=buckets, groups=groups, counted_features=features):
        found = memory.query("drift/bucket_counts")
    assert found.select(["bucket", "row_count"]).sort_by("bucket").to_pylist() == [
        {"bucket": 0, "row_count": 11},
        {"bucket": 1, "row_count": 100},
    ]


# --- service levels ---


LATENCY_COLUMNS = (
    {"dt": "date"}
    | dict.fromkeys((*GROUP, "metric"), "varchar")
    | {
        "bin_id": "integer",
        "lower_ms": "double",
        "upper_ms": "double",
        "row_count": "bigint",
    }
)


def test_percentiles_are_the_middles_of_the_bins_that_hold_the_ranks(db: duckdb.DuckDBPyConnection) -> None:
    row = GROUP | {"dt": day(1), "metric": "latency_ms"}
    bins = [(0, 1.0, 4.0, 50), (1, 4.0, 9.0, 45), (2, 9.0, 16.0, 5)]
    names = ("bin_id", "lower_ms", "upper_ms", "row_count")
    given(db, "service_rows", LATENCY_COLUMNS, [row | dict(zip(names, values, strict=True)) for values in bins])
    assert rows_of(db, "profiles/service_levels", "row_count", "p50_ms", "p95_ms", "p99_ms") == [(100, 2.0, 6.0, 12.0)]


# --- alerts ---


def raised(db: duckdb.DuckDBPyConnection, signals: Sequence[Row], rule: Row | None = None, *columns: str) -> list[Any]:
    """Open alerts of days 1 to 9 for signals that differ from SIGNAL, under a rule that differs from RULE."""
    given(db, "signals", SIGNAL_COLUMNS, [SIGNAL | {"dt": day(1)} | signal for signal in signals])
    given(db, "alert_rules", RULE_COLUMNS, [RULE | (rule or {})])
    wanted = columns or ("dt",)
    found = alerts_of(db, day(1), day(9)).to_pylist()
    rows = [tuple(row[name] for name in wanted) for row in found if row["state"] != "resolved"]
    return rows if len(wanted) > 1 else [row[0] for row in rows]


def days(*numbers: int) -> list[Row]:
    return [{"dt": day(number)} for number in numbers]


def test_a_rule_fires_once_its_days_in_a_row_are_full(db: duckdb.DuckDBPyConnection) -> None:
    assert raised(db, days(1, 2, 3, 4), {"consecutive_days": 3}) == [day(3), day(4)]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"models": ["debit"]}, []),
        ({"models": ["credit"]}, ["age", "income"]),
        ({"features": ["age"]}, ["age"]),
        ({"except_features": ["age"]}, ["income"]),
    ],
)
def test_a_rule_watches_only_what_it_names(db: duckdb.DuckDBPyConnection, rule: Row, expected: list[str]) -> None:
    signals = [{"feature": "age"}, {"feature": "income"}]
    assert [row[1] for row in raised(db, signals, rule, "dt", "feature")] == expected


def test_a_rule_watches_only_its_references(db: duckdb.DuckDBPyConnection) -> None:
    signals = [{"reference": "preceding"}, {"dt": day(2)}]
    assert raised(db, signals, {"reference_names": ["preceding"]}) == [day(1)]


def jumps(*values: tuple[int, float | None, float], version: str = "v1") -> list[Row]:
    """Values against the window before, if there are any, and against training, day by day."""
    of = {"model_version": version}
    rows = [of | {"dt": day(n), "reference": "preceding", "value": before} for n, before, _ in values]
    rows += [of | {"dt": day(n), "value": value} for n, _, value in values]
    return [row for row in rows if row["value"] is not None]


ON_A_JUMP: Row = {"opening_reference": "preceding"}


def test_a_rule_opens_on_a_jump_and_stays_open_until_the_value_falls(db: duckdb.DuckDBPyConnection) -> None:
    values = jumps((2, 0.02, 0.3), (3, 0.3, 0.4), (4, 0.0, 0.4), (5, 0.0, 0.4), (6, 0.3, 0.01))
    assert raised(db, values, ON_A_JUMP) == [day(3), day(4), day(5)]


def test_a_jump_of_one_day_does_not_open_a_rule_that_needs_more(db: duckdb.DuckDBPyConnection) -> None:
    values = jumps((1, 0.0, 0.3), (2, 0.3, 0.4), (3, 0.02, 0.4), (4, 0.3, 0.4), (5, 0.3, 0.4), (6, 0.0, 0.4))
    assert raised(db, values[:-4], ON_A_JUMP | {"consecutive_days": 2}) == []
    assert raised(db, values, ON_A_JUMP | {"consecutive_days": 2}) == [day(5), day(6)]


def test_drift_that_exists_from_the_beginning_is_not_a_jump(db: duckdb.DuckDBPyConnection) -> None:
    assert raised(db, jumps((1, None, 0.3), (2, None, 0.3), (3, 0.02, 0.3)), ON_A_JUMP) == []


def test_a_new_version_jumps_if_the_one_before_was_not_there(db: duckdb.DuckDBPyConnection) -> None:
    values = [*jumps((1, 0.02, 0.02)), *jumps((3, None, 0.3), (4, None, 0.3), version="v2")]
    assert raised(db, values, ON_A_JUMP | {"consecutive_days": 2}) == [day(4)]


def test_a_new_version_takes_over_what_jumped_before_it(db: duckdb.DuckDBPyConnection) -> None:
    new = jumps((3, None, 0.3), version="v2")
    jumped = jumps((1, 0.02, 0.02), (2, 0.3, 0.3))
    assert raised(db, [*jumped, *new], ON_A_JUMP, "dt", "model_version") == [(day(2), "v1"), (day(3), "v2")]


def test_a_new_version_in_a_season_is_not_a_jump(db: duckdb.DuckDBPyConnection) -> None:
    assert raised(db, [*jumps((1, 0.02, 0.3)), *jumps((3, None, 0.3), version="v2")], ON_A_JUMP) == []


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({}, ["all"]),
        ({"each_segment": True}, ["all", "country=at", "country=de"]),
        ({"segments": ["country=de"]}, ["country=de"]),
    ],
)
def test_a_rule_looks_at_segments_if_asked_to(db: duckdb.DuckDBPyConnection, rule: Row, expected: list[str]) -> None:
    signals = [{"segment": "country=at"}, {"segment": "country=de"}, {}]
    assert raised(db, signals, rule, "segment") == expected


def test_a_gap_breaks_the_run(db: duckdb.DuckDBPyConnection) -> None:
    assert raised(db, days(1, 2, 4, 5, 6), {"consecutive_days": 3}) == [day(6)]


def test_a_day_below_the_threshold_breaks_the_run(db: duckdb.DuckDBPyConnection) -> None:
    signals = [*days(1, 2), {"dt": day(3), "value": 0.05}, *days(4)]
    assert raised(db, signals, {"consecutive_days": 2}) == [day(2)]


def test_an_alert_has_the_day_it_began(db: duckdb.DuckDBPyConnection) -> None:
    ran = raised(db, days(1, 3, 4), None, "since_on", "consecutive_days")
    assert ran == [(day(1), 1), (day(3), 1), (day(3), 2)]


def test_the_runs_of_two_features_are_counted_apart(db: duckdb.DuckDBPyConnection) -> None:
    signals = [{"dt": day(1), "feature": "age"}, {"dt": day(2), "feature": "income"}]
    assert raised(db, signals, {"consecutive_days": 2}) == []


@pytest.mark.parametrize(
    "signal",
    [
        {"value": 0.09},
        {"sample_count": 499},
        {"noise_floor": 0.2},
        {"window_days": 28},
        {"deployment": "shadow"},
        {"signal": "feature_drift.js_distance"},
    ],
    ids=lambda signal: next(iter(signal)),
)
def test_a_rule_does_not_fire_below_its_limits_or_for_another_signal(
    db: duckdb.DuckDBPyConnection, signal: Row
) -> None:
    assert raised(db, [signal]) == []


def test_a_rule_fires_at_its_limits(db: duckdb.DuckDBPyConnection) -> None:
    assert raised(db, [{"value": 0.1, "sample_count": 500}]) == [day(1)]


def test_a_signal_without_a_noise_floor_fires(db: duckdb.DuckDBPyConnection) -> None:
    assert raised(db, [{"noise_floor": None}]) == [day(1)]


def test_a_signal_of_no_deployment_fires(db: duckdb.DuckDBPyConnection) -> None:
    assert raised(db, [{"deployment": None, "segment": None}]) == [day(1)]


def test_a_signal_of_one_day_ignores_the_window_of_the_rule(db: duckdb.DuckDBPyConnection) -> None:
    assert raised(db, [{"window_days": 1}], {"is_windowed": False}) == [day(1)]


@pytest.mark.parametrize(("value", "expected"), [(0.24, ("warn", 0.1)), (0.25, ("critical", 0.25))])
def test_an_alert_is_critical_from_the_critical_threshold(
    db: duckdb.DuckDBPyConnection, value: float, expected: tuple[str, float]
) -> None:
    assert raised(db, [{"value": value}], None, "severity", "threshold") == [expected]


# --- the grid: the counts of the kernel, recounted ---

RECOUNT = """
with placed as (
    select
        *,
        grid_cell(value, grid_transform, grid_scale, grid_lower, grid_upper, grid_cells, borders := borders) as cell
    from
        raw,
        (select any_value(columns('^grid_')) from bins),
        (select list_append(list(lower order by lower), max(upper)) as borders from bins where lower is not null)
)
select
    case when cell is null then 0 when cell < 0 then 1 when cell >= p.grid_cells then 2 else bin_id end as bin_id,
    count(*) as row_count
from placed as p
left join bins on cell between cell_first and cell_last
group by all
order by all
"""


def recounted(db: duckdb.DuckDBPyConnection, bins: FeatureBins, column: pa.Array) -> dict[int, int]:
    db.register("bins", pa.table(bins.columns()))
    db.register("raw", pa.table({"value": column}))
    return dict(db.execute(RECOUNT).fetchall())


def counted(bins: FeatureBins, column: pa.Array) -> dict[int, int]:
    [counts] = count_column(column, bins).bins
    return {bin_id: int(counts[bin_id]) for bin_id in np.flatnonzero(counts).tolist()}


def awkward(bins: FeatureBins) -> Floats:
    """Every border of the bins, its neighbours, and values far from all of them."""
    borders = bins.borders
    far = np.array([0.0, -0.0, 1e-300, 5e-324, 1e12, np.inf, np.nan])
    return np.concatenate([borders, np.nextafter(borders, -np.inf), np.nextafter(borders, np.inf), far])


def uniform(generator: np.random.Generator) -> Floats:
    return generator.uniform(-3, 40, 50_000)


def lognormal(generator: np.random.Generator) -> Floats:
    return np.exp(generator.normal(2, 3, 50_000))


def cauchy(generator: np.random.Generator) -> Floats:
    return generator.standard_cauchy(50_000) * 1000


def two_units(generator: np.random.Generator) -> Floats:
    return (1.7e9 + generator.normal(0, 1e6, 50_000)) * generator.choice([1, 1000], 50_000)


@pytest.mark.parametrize(
    ("transform", "sample", "signs"),
    [
        ("linear", uniform, (1, -1)),
        ("log", lognormal, (1,)),
        ("asinh", cauchy, (1, -1)),
        ("borders", two_units, (1, -1)),
    ],
    ids=["linear", "log", "asinh", "borders"],
)
def test_sql_counts_what_the_kernel_counts(
    db: duckdb.DuckDBPyConnection, transform: str, sample: Any, signs: tuple[int, ...]
) -> None:
    generator = np.random.default_rng(20240301)
    training = sample(generator)
    bins = learn_numeric_bins("x", training)
    assert bins.grid is not None
    assert bins.grid.transform == transform
    column = pa.array(
        np.concatenate([training, sample(generator) * 1.5, *(sign * awkward(bins) for sign in signs)]),
        mask=generator.random(len(training) * 2 + len(awkward(bins)) * len(signs)) < 0.01,
    )
    assert recounted(db, bins, column) == counted(bins, column)


def test_sql_counts_negative_values_of_a_logarithmic_grid_as_the_kernel_does(db: duckdb.DuckDBPyConnection) -> None:
    bins = learn_numeric_bins("x", lognormal(np.random.default_rng(1)))
    column = pa.array([-1.0, -np.inf, -1e-300])
    assert counted(bins, column) == recounted(db, bins, column)


@pytest.mark.parametrize("value", [1e17, -1e17, 1e300, -1e300])
def test_sql_counts_huge_values_as_the_kernel_does(db: duckdb.DuckDBPyConnection, value: float) -> None:
    bins = learn_numeric_bins("x", np.linspace(0, 1, 1000))
    column = pa.array([value])
    assert recounted(db, bins, column) == counted(bins, column)


def test_sql_counts_whole_numbers_as_the_kernel_does(db: duckdb.DuckDBPyConnection) -> None:
    training = np.arange(-700, 700).astype(float)
    bins = learn_numeric_bins("x", training)
    column = pa.array(np.concatenate([training, training + 0.5, training + 1000]))
    assert recounted(db, bins, column) == counted(bins, column)


SMALL_SAMPLES = st.tuples(
    st.lists(st.integers(-(10**6), 10**6), min_size=1, max_size=30), st.integers(1, 4), st.booleans()
).map(
    lambda drawn: (
        np.abs((np.array(drawn[0]) / 1000) ** drawn[1]) if drawn[2] else (np.array(drawn[0]) / 1000) ** drawn[1]
    )
)


@settings(max_examples=25)
@drawn(SMALL_SAMPLES)
def test_sql_counts_any_small_training_sample_as_the_kernel_does(training: Floats) -> None:
    bins = learn_numeric_bins("x", training)
    column = pa.array(np.concatenate([training, bins.borders]))
    with duckdb.connect() as db:
        for macro in schema.session_macros():
            db.execute(macro)
        assert recounted(db, bins, column) == counted(bins, column)


def logit_bin(score: float) -> int:
    """Bin of a probability by the formula of feature_bins."""
    if score <= 0:
        return 1
    if score >= 1:
        return 2
    low = math.log(PROBABILITY_GRID.lower / (1 - PROBABILITY_GRID.lower))
    high = math.log(PROBABILITY_GRID.upper / (1 - PROBABILITY_GRID.upper))
    cell = math.floor((math.log(score / (1 - score)) - low) / (high - low) * PROBABILITY_GRID.cells)
    return 1 if cell < 0 else 2 if cell >= PROBABILITY_GRID.cells else 3 + cell


def test_sql_counts_probabilities_by_their_log_odds(db: duckdb.DuckDBPyConnection) -> None:
    bins = probability_bins("score")
    random = 1 / (1 + np.exp(-np.random.default_rng(1).normal(0, 4, 20_000)))
    scores = np.concatenate([random, bins.borders, [0.0, 1.0, 0.5, 1e-300, 1 - 1e-16, -0.2, 1.2]])
    assert recounted(db, bins, pa.array(scores)) == Counter(map(logit_bin, scores.tolist()))


def test_training_scores_are_counted_as_production_scores(db: duckdb.DuckDBPyConnection) -> None:
    bins = probability_bins("score")
    column = pa.array(1 / (1 + np.exp(-np.random.default_rng(2).normal(0, 4, 20_000))))
    assert counted(bins, column) == recounted(db, bins, column)
