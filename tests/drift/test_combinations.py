"""Combinations that training hardly had are told of when production has them, and hardly ever otherwise."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pytest
from data import GROUP, KEY, MODEL, Row, day, insert, model_version
from hypothesis import given
from hypothesis import strategies as st
from project import Project
from scipy import stats

from driftlake.config import DriftSettings, ModelSettings
from driftlake.drift.combinations import rare_combinations, surge_p_value
from driftlake.errors import ConfigurationError
from driftlake.lake.warehouse import Warehouse
from driftlake.maths.binning import learn_category_bins
from driftlake.maths.numeric_bins import learn_numeric_bins
from driftlake.profiles.kernel import Grouping
from driftlake.profiles.pair_counts import PairAccumulator, PairCounts, bins_in_pairs, labels_in_pairs
from driftlake.training.reference_pairs import count_reference_pairs
from driftlake.training.registration import register_folder

COUNT = st.integers(0, 200)
SIZE = st.integers(1000, 100_000)
COLOUR = learn_category_bins("colour", ["red", "blue"], np.array([500, 500]))
TRIM = learn_category_bins("trim", ["red", "blue"], np.array([500, 500]))
VERSION = model_version([COLOUR, TRIM])
BLUE, RED = 3, 4


def p_value(current: int, reference: int, current_size: int, reference_size: int) -> float:
    return float(surge_p_value(*(np.array([n]) for n in (current, reference, current_size, reference_size)))[0])


@given(COUNT, COUNT, SIZE, SIZE)
def test_the_p_value_is_that_of_the_exact_binomial_test(
    current: int, reference: int, current_size: int, reference_size: int
) -> None:
    trials = current + reference
    share = current_size / (current_size + reference_size)
    expected = stats.binomtest(current, trials, share, "greater").pvalue if trials else 1.0
    assert p_value(current, reference, current_size, reference_size) == pytest.approx(expected, rel=1e-6, abs=1e-300)


def test_a_combination_that_training_never_had_has_the_noise_of_training() -> None:
    # one row of either side, on sides of equal size, is as likely on one as on the other
    assert p_value(1, 0, 1000, 1000) == pytest.approx(0.5)


# --- counting ---

ROWS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 4), st.integers(0, 4), st.integers(0, 4)), max_size=30)
PAIRS = [("x", "y"), ("y", "z")]


def counted(rows: Sequence[tuple[int, ...]]) -> PairCounts:
    accumulator = PairAccumulator(PAIRS, 1)
    groups, *bins = np.array(rows, dtype=np.int32).reshape(-1, 4).T
    grouping = Grouping.of(groups)
    accumulator.add_values(*bins, groupings=[grouping])
    [counts] = accumulator.counts()
    return counts


@given(ROWS, ROWS)
def test_two_parts_add_up_to_the_whole(first: list[tuple[int, ...]], second: list[tuple[int, ...]]) -> None:
    combined, whole = PairCounts.combined([counted(first), counted(second)]), counted(first + second)
    assert combined.keys.tolist() == whole.keys.tolist()
    assert combined.rows.tolist() == whole.rows.tolist()


def test_rows_are_counted_by_group_pair_and_bins() -> None:
    columns = counted([(1, 3, 4, 0), (1, 3, 4, 2), (2, 3, 4, 0)]).columns()
    rows = list(zip(*(np.asarray(column).tolist() for column in columns.values()), strict=True))
    assert rows == [
        (1, "x", "y", 3, 4, 2),
        (1, "y", "z", 4, 0, 1),
        (1, "y", "z", 4, 2, 1),
        (2, "x", "y", 3, 4, 1),
        (2, "y", "z", 4, 0, 1),
    ]


def test_numbers_are_paired_by_coarse_bins_whose_labels_say_their_range() -> None:
    age = learn_numeric_bins("age", np.repeat(np.arange(1.0, 101.0), 10))
    labels = labels_in_pairs(age)
    assert [labels[bin_id] for bin_id in bins_in_pairs(age, pa.array([None, 0.0, 1.0, 100.0, 102.0]))] == [
        "missing",
        "below 0.5",
        "0.5 to 10.5",
        "90.5 to 101.5",
        "above 101.5",
    ]


# --- findings ---


def findings(
    memory: Warehouse, current: dict[tuple[int, int], int], reference: dict[tuple[int, int], int]
) -> list[Row]:
    """Rows of rare_combinations of day 1 over one day."""
    names = {"feature_a": "colour", "feature_b": "trim"}
    group = GROUP | names | {"dt": day(1)}
    for table, owner, counts in (
        ("pair_profile", group, current),
        ("reference_pair_profile", MODEL | names, reference),
    ):
        rows = [owner | {"bin_a": a, "bin_b": b, "row_count": count} for (a, b), count in counts.items()]
        insert(memory.connection, table, rows)
    with memory.registered(
        configured_pairs=pa.table({name: [value] for name, value in ({"model_id": "credit"} | names).items()})
    ):
        paired = memory.query("drift/pair_windows", first_day=day(1), last_day=day(2), windows_days=[1])
    rows: list[Row] = rare_combinations(paired, {KEY: VERSION}, DriftSettings()).to_pylist()
    return rows


def test_a_rare_combination_that_comes_up_is_found(memory: Warehouse) -> None:
    [row] = findings(memory, {(RED, RED): 980, (RED, BLUE): 20}, {(RED, RED): 9999, (RED, BLUE): 1})
    assert (row["label_a"], row["label_b"], row["current_count"], row["reference_count"]) == ("red", "blue", 20, 1)
    # 25 possible combinations, half a row for each
    assert row["expected_count"] == pytest.approx(1.5 / (10_000 + 12.5) * 1000)
    assert row["p_value"] == pytest.approx(stats.binom.sf(19, 21, 1000 / 11_000))
    # two combinations are tested
    assert row["q_value"] == pytest.approx(2 * row["p_value"])


def test_a_combination_that_was_never_seen_is_found(memory: Warehouse) -> None:
    [row] = findings(memory, {(RED, RED): 980, (BLUE, BLUE): 20}, {(RED, RED): 10_000})
    assert (row["label_a"], row["reference_count"]) == ("blue", 0)


@pytest.mark.parametrize(
    ("current", "reference"),
    [
        # common, and more common now
        ({(RED, RED): 600, (RED, BLUE): 400}, {(RED, RED): 9000, (RED, BLUE): 1000}),
        # as rare as before
        ({(RED, RED): 999, (RED, BLUE): 1}, {(RED, RED): 9995, (RED, BLUE): 5}),
        # fewer rows than a comparison needs
        ({(RED, RED): 150, (RED, BLUE): 40}, {(RED, RED): 9999, (RED, BLUE): 1}),
    ],
    ids=["common", "still rare", "few rows"],
)
def test_what_is_not_told_of(
    memory: Warehouse, current: dict[tuple[int, int], int], reference: dict[tuple[int, int], int]
) -> None:
    assert findings(memory, current, reference) == []


def test_days_without_drift_have_findings_no_more_often_than_allowed() -> None:
    generator = np.random.default_rng(11)
    shares = np.outer(1 / np.arange(1, 31) ** 2, 1 / np.arange(1, 21) ** 2).ravel()
    shares /= shares.sum()
    days, size, trained = 400, 2000, 5000
    columns = {name: [name] * len(shares) for name in ("model_version", "deployment", "feature_a", "feature_b")}
    rows = []
    for number in range(days):
        reference, current = generator.multinomial(trained, shares), generator.multinomial(size, shares)
        seen = (reference + current) > 0
        rows.append(
            pa.table(
                columns
                | {"dt": [day(number)] * len(shares), "window_days": [1] * len(shares), "model_id": ["m"] * len(shares)}
                | {"bin_a": [3] * len(shares), "bin_b": [3] * len(shares), "current_day_count": [1] * len(shares)}
                | {"current_count": current, "current_size": [size] * len(shares)}
                | {"reference_count": reference, "reference_size": [trained] * len(shares)}
            ).filter(pa.array(seen))
        )
    version = model_version([learn_category_bins(f"feature_{side}", ["a"], np.array([1])) for side in "ab"])
    found = rare_combinations(
        pa.concat_tables(rows), {("m", "model_version"): version}, DriftSettings(false_alarm_rate=0.05)
    )
    # at most 5 % of the days, but for chance in one of a thousand
    assert len(set(found["dt"].to_pylist())) <= stats.binom.ppf(0.999, days, 0.05)


# --- a project ---

RULE = {"name": "rare", "signal": "rare_combinations.count", "window_days": 1, "warn": 1, "critical": 10}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Two days of pairs of a number and a category; on the second, red is far above what training had."""
    project = Project(
        tmp_path_factory.mktemp("pairs") / "project", models={"credit": {"pairs": [["colour", "x"]]}}, alerts=[RULE]
    )
    project.telemetry(1)
    x = np.random.default_rng(2).normal(size=300)
    project.telemetry(2, x=np.where(np.arange(300) < 20, 9.0, x))
    with Warehouse.open(project.settings) as warehouse:
        register_folder(warehouse, project.settings)
    project.run(1, 2)
    return project


def test_pairs_configured_later_are_counted_in_the_training_data(project: Project) -> None:
    recounted = f"""
    select colour.bin_id, x.coarse_bin_id, count(*)
    from read_parquet('{project.root}/training.parquet') as t
    join feature_bins as colour on colour.feature = 'colour' and colour.label = t.colour
    join feature_bins as x on x.feature = 'x' and x.bin_kind = 'range' and t.x >= x.lower and t.x < x.upper
    group by all
    order by all
    """
    assert project.rows("select bin_a, bin_b, row_count from reference_pair_profile order by all") == project.rows(
        recounted
    )


def test_a_night_finds_the_combination_and_an_alert_tells_of_it(project: Project) -> None:
    found = project.rows("select dt, label_b from rare_combinations where window_days = 1")
    assert {(dt, label[:5]) for dt, label in found} == {(day(2), "above")}
    [(message,)] = project.rows("select message from alerts where rule = 'rare'")
    assert message.startswith(
        "credit v1 (production): 2 combinations of features that are rare in training have become frequent"
    )


def test_a_pair_that_no_version_has_is_refused(project: Project) -> None:
    models = {"credit": ModelSettings(pairs=(("colour", "price"),))}
    settings = project.settings.model_copy(update={"models": models})
    with Warehouse.open(settings) as warehouse, pytest.raises(ConfigurationError, match="colour and price"):
        count_reference_pairs(warehouse, settings, [])
