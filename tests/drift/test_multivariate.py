"""Changed relations between features are found although no single feature moved, and hardly ever without a change."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from data import GROUP, KEY, MODEL, Row, day, model_version
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from project import ROWS, Project
from scipy import stats
from sklearn.decomposition import PCA

from driftlake.config import DriftSettings, MultivariateSettings
from driftlake.drift.multivariate import compare_samples, references_of
from driftlake.lake.warehouse import Warehouse
from driftlake.lineage.versions import ModelVersion
from driftlake.maths.arrays import Floats
from driftlake.maths.binning import FIRST_RANGE, MISSING, FeatureBins, learn_category_bins
from driftlake.maths.encoding import stored_bins
from driftlake.maths.numeric_bins import learn_numeric_bins
from driftlake.maths.pca import (
    EXPLAINED_SHARE,
    Components,
    Encoding,
    MeanTest,
    category_numbers,
    range_numbers,
    resampled_means,
)
from driftlake.profiles.row_samples import lists_of, smallest
from driftlake.training.registration import register_folder

# --- samples ---

HASHES = st.lists(st.integers(0, 50), max_size=40).map(lambda hashes: np.array(hashes, np.uint64))


@given(HASHES, HASHES, st.integers(1, 10))
def test_the_sample_of_two_days_is_that_of_their_samples(
    first: NDArray[np.uint64], second: NDArray[np.uint64], sample_rows: int
) -> None:
    both = np.concatenate([first, second])
    of_both = both[smallest(both, sample_rows)]
    parts = np.concatenate([part[smallest(part, sample_rows)] for part in (first, second)])
    assert parts[smallest(parts, sample_rows)].tolist() == of_both.tolist()


# --- encoding ---


def test_numbers_are_encoded_as_normal_scores_of_their_ranks() -> None:
    # missing, below, above, and three ranges with half a row more each: 8 rows with those of below and above
    counts = np.array([0, 0, 0, 1, 3, 1])
    raw = stats.norm.ppf(np.array([0.25, 7.25, 1.25, 3.75, 6.25]) / 7.5)
    deviation = np.sqrt(2 * raw[2] ** 2 / 5)
    assert range_numbers(counts)[1:, 0] == pytest.approx(raw / deviation)


def test_missing_values_are_a_column_of_their_own_where_training_has_some() -> None:
    numbers = range_numbers(np.array([10, 0, 0, 45, 45]))
    assert numbers[MISSING].tolist() == [0, pytest.approx(3)]
    assert numbers[FIRST_RANGE:, 1] == pytest.approx([-1 / 3, -1 / 3])


@given(st.lists(st.integers(0, 50), min_size=4, max_size=12).filter(lambda counts: np.count_nonzero(counts) > 1))
def test_a_category_has_mean_zero_and_variance_one_like_a_number(counts: list[int]) -> None:
    rows = np.array(counts)
    numbers = category_numbers(np.arange(len(rows), dtype=np.int32), rows)
    assert np.average(numbers, axis=0, weights=rows) == pytest.approx(np.zeros(numbers.shape[1]))
    assert np.average(numbers**2, axis=0, weights=rows).sum() == pytest.approx(1)


def test_a_feature_that_is_constant_in_training_has_no_column() -> None:
    assert range_numbers(np.array([0, 0, 0, 0, 9])).shape == (5, 0)
    assert category_numbers(np.arange(4, dtype=np.int32), np.array([0, 0, 0, 9])).shape == (4, 0)


# --- errors ---


@given(st.integers(0, 2**32 - 1), st.integers(2, 8))
def test_errors_are_those_of_scikit_learn(seed: int, width: int) -> None:
    generator = np.random.default_rng(seed)
    mixing = generator.normal(size=(width, width))
    trained, rows = (generator.normal(size=(count, width)) @ mixing + 1 for count in (200, 50))
    components = Components.fit(trained)
    model = PCA(n_components=EXPLAINED_SHARE, svd_solver="full").fit(trained)
    expected = np.linalg.norm(rows - model.inverse_transform(model.transform(rows)), axis=1)
    assert len(components.axes) == model.n_components_
    assert components.errors(rows) == pytest.approx(expected, abs=1e-8)


def test_the_worked_example_of_the_documentation() -> None:
    components = Components.fit(np.array([[2, 2], [-2, -2], [0.5, -0.5], [-0.5, 0.5]]))
    assert components.errors(np.array([[1, -1], [1, 1]])) == pytest.approx([1.414, 0], abs=1e-3)


def mean_test(errors: Floats, sample_rows: int, generator: np.random.Generator) -> MeanTest:
    return MeanTest.of(errors, *(resampled_means(errors, size, generator) for size in (sample_rows, len(errors))))


def test_the_resampled_differences_have_the_noise_of_both_sides() -> None:
    errors = np.random.default_rng(3).gamma(2.0, size=3000)
    test = mean_test(errors, 500, np.random.default_rng(4))
    deviation = errors.std() * np.sqrt(1 / 500 + 1 / 3000)
    assert test.noise_floor == pytest.approx(stats.norm.isf(0.005) * deviation, rel=0.1)
    assert test.p_value(test.mean - 2 * deviation) == pytest.approx(2 * stats.norm.sf(2), rel=0.25)


# --- windows ---

SETTINGS = DriftSettings(windows_days=(1,))
NAMES = ("x", "y", "z", "channel")
LETTERS = np.array(["a", "b", "c"])


def related(generator: np.random.Generator, count: int, correlation: float) -> Mapping[str, pa.Array]:
    """Three numbers and a category; x and y are correlated, and the correlation does not change their distributions."""
    x, noise, z = generator.normal(size=(3, count))
    y = correlation * x + np.sqrt(1 - correlation**2) * noise
    channel = LETTERS[np.digitize(z + generator.normal(size=count), [-1, 1])]
    return {name: pa.array(values) for name, values in zip(NAMES, (x, y, z, channel), strict=True)}


def learned(columns: Mapping[str, pa.Array]) -> list[FeatureBins]:
    letters, counts = np.unique(columns["channel"].to_numpy(zero_copy_only=False), return_counts=True)
    numbers = [learn_numeric_bins(name, columns[name].to_numpy()) for name in NAMES[:3]]
    return [*numbers, learn_category_bins("channel", letters.tolist(), counts)]


TRAINED = related(np.random.default_rng(1), 20_000, 0.8)
FEATURES = learned(TRAINED)


def binned(columns: Mapping[str, pa.Array]) -> NDArray[np.int32]:
    return np.stack([stored_bins(bins, columns[bins.feature]) for bins in FEATURES], axis=1)


def version() -> ModelVersion:
    counts = zip(FEATURES, binned(TRAINED).T, strict=True)
    reference_counts = {bins.feature: np.bincount(rows, minlength=bins.bin_count) for bins, rows in counts}
    return replace(model_version(FEATURES), reference_counts=reference_counts)


VERSION = version()


def sample(owner: Row, bins: NDArray[np.int32], **columns: pa.Array) -> pa.Table:
    """Rows of prediction_sample or reference_sample, with their place as hash."""
    count = len(bins)
    key = {name: pa.repeat(value, count) for name, value in owner.items()}
    return pa.table(key | columns | {"row_hash": pa.array(np.arange(count, dtype=np.uint64)), "bins": lists_of(bins)})


def compared(days: Sequence[NDArray[np.int32]], settings: DriftSettings = SETTINGS, **owner: str) -> list[Row]:
    """Rows of multivariate_drift of days 0, 1, ..., each given as the bins of its sample."""
    group = {name: value for name, value in GROUP.items() if name != "segment"} | owner
    samples = pa.concat_tables(
        [sample(group, bins, dt=pa.array([day(number)] * len(bins), pa.date32())) for number, bins in enumerate(days)]
    )
    trained = sample(MODEL, binned(related(np.random.default_rng(2), 4000, 0.8)))
    asked = MultivariateSettings(sample_rows=1000)
    every_day = [day(number) for number in range(len(days))]
    references = references_of(trained, {KEY: VERSION}, settings)
    rows: list[Row] = compare_samples(samples, references, settings, asked, every_day).to_pylist()
    return rows


def drawn(seed: int, count: int, correlation: float) -> NDArray[np.int32]:
    return binned(related(np.random.default_rng(seed), count, correlation))


@pytest.mark.parametrize("correlation", [-0.8, 0.5], ids=["turned", "weaker"])
def test_a_relation_that_changes_while_every_feature_stays_is_found(correlation: float) -> None:
    [row] = compared([drawn(5, 1000, correlation)])
    assert row["outcome"] == "drift"
    assert row["error_shift"] == pytest.approx(row["value"] / row["reference_value"] - 1)
    assert row["error_shift"] > row["noise_floor"]


def test_a_closer_relation_is_found_by_smaller_errors() -> None:
    [row] = compared([drawn(5, 1000, 0.95)])
    assert (row["outcome"], row["error_shift"] < 0) == ("drift", True)


def test_windows_without_drift_are_flagged_no_more_often_than_allowed() -> None:
    # a separate training sample for each window, because windows with the same sample share its noise
    encoding = Encoding.of(FEATURES, [VERSION.reference_counts[name] for name in NAMES])
    p_values = []
    for seed in range(300):
        generator = np.random.default_rng([7, seed])
        rows = [encoding.encode(binned(related(generator, count, 0.8))) for count in (1000, 1000, 500)]
        components = Components.fit(rows[0])
        errors: Floats = components.errors(rows[1])
        p_values.append(mean_test(errors, 500, generator).p_value(float(components.errors(rows[2]).mean())))
    assert stats.kstest(p_values, "uniform").pvalue > 0.001
    assert np.count_nonzero(np.array(p_values) <= 0.05) <= stats.binom.ppf(0.999, 300, 0.05)


def test_a_window_has_the_rows_with_the_smallest_hashes_of_its_days() -> None:
    # of two days as large, the first half of each
    days = [drawn(8, 1000, 0.8), drawn(9, 1000, 0.8)]
    whole = compared(days, DriftSettings(windows_days=(2,)))[-1]
    halves = compared([bins[:500] for bins in days], DriftSettings(windows_days=(2,)))[-1]
    assert (whole["current_count"], whole["current_day_count"]) == (1000, 2)
    assert whole == halves


def test_the_same_samples_give_the_same_rows() -> None:
    days = [drawn(8, 1000, 0.8), drawn(9, 700, 0.8)]
    assert compared(days) == compared(days)


@pytest.mark.parametrize(
    ("count", "owner", "reason"),
    [
        (150, {}, "fewer than 200 rows in the window"),
        (500, {"model_version": "v9"}, "no sample of the training data"),
    ],
)
def test_what_cannot_be_judged_says_why(count: int, owner: dict[str, str], reason: str) -> None:
    [row] = compared([drawn(5, count, 0.8)], **owner)
    assert (row["outcome"], row["reason"], row["p_value"]) == ("insufficient_data", reason, None)


# --- a project ---

SAMPLE_ROWS = 250
RULE = {"name": "joint", "signal": "multivariate_drift.error_shift", "window_days": 1, "warn": 0.05, "critical": 9}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Two days with two correlated numbers; on the second day the correlation is negative."""
    x = np.random.default_rng(1).normal(size=2000)
    noise = np.random.default_rng(2).normal(size=(3, 2000)) / 2
    project = Project(
        tmp_path_factory.mktemp("joint") / "project",
        training={"x": x, "y": x + noise[0]},
        drift={"windows_days": [1, 2], "multivariate": {"sample_rows": SAMPLE_ROWS, "reference_rows": 1000}},
        alerts=[RULE],
    )
    for number, sign in ((1, 1), (2, -1)):
        of_day = np.random.default_rng(10 + number).normal(size=ROWS)
        project.telemetry(number, x=of_day, y=sign * of_day + noise[number, :ROWS])
    with Warehouse.open(project.settings) as warehouse:
        register_folder(warehouse, project.settings)
    project.run(1, 2)
    return project


def test_the_sample_of_a_day_has_the_smallest_hashes_of_its_ids(project: Project) -> None:
    hashes = sorted(
        int.from_bytes(hashlib.md5(f"d1-{row}".encode(), usedforsecurity=False).digest()[8:], "little")
        for row in range(ROWS)
    )
    stored = project.rows("select row_hash from prediction_sample where dt = ? order by 1", day(1))
    assert [row_hash for (row_hash,) in stored] == hashes[:SAMPLE_ROWS]


def test_a_sampled_row_has_the_bins_of_its_features(project: Project) -> None:
    recounted = f"""
    select md5_number_lower(t.correlation_id) as row_hash, [x.bin_id, colour.bin_id, y.bin_id] as bins
    from read_parquet('{project.root}/telemetry/dt={day(1)}/*.parquet') as t
    join feature_bins as x on x.feature = 'x' and x.bin_kind = 'range' and t.x >= x.lower and t.x < x.upper
    join feature_bins as y on y.feature = 'y' and y.bin_kind = 'range' and t.y >= y.lower and t.y < y.upper
    join feature_bins as colour on colour.feature = 'colour' and colour.label = t.colour
    """
    [(features,)] = project.rows("select features from training_runs")
    assert features == ["x", "colour", "y"]
    [(wrong, matched)] = project.rows(
        "select count(*) filter (s.bins <> r.bins), count(*)"
        f" from prediction_sample as s join ({recounted}) as r on s.row_hash = r.row_hash where s.dt = ?",
        day(1),
    )
    # values outside the training range have no range
    assert (wrong, matched > SAMPLE_ROWS * 0.9) == (0, True)


def test_the_training_sample_is_taken_once(project: Project) -> None:
    [(count,)] = project.rows("select count(*) from reference_sample")
    assert count == 1000
    with Warehouse.open(project.settings) as warehouse:
        register_folder(warehouse, project.settings)
    assert project.rows("select count(*) from reference_sample") == [(1000,)]


def test_a_night_finds_the_reversed_relation_and_raises_an_alert(project: Project) -> None:
    outcomes = project.rows("select dt, outcome from multivariate_drift where window_days = 1 order by dt")
    assert outcomes == [(day(1), "stable"), (day(2), "drift")]
    [(message,)] = project.rows("select message from alerts where rule = 'joint'")
    assert message.startswith("the relations between the features of credit v1 (production) differ from training")


def test_a_rerun_gives_the_same_rows(project: Project) -> None:
    tables = ("prediction_sample", "multivariate_drift")
    before = project.contents(*tables)
    project.configure(compute={"threads": 2})
    project.run(1, 2, is_forced=True, until="drift")
    assert project.contents(*tables) == before


def test_without_the_setting_nothing_is_sampled(tmp_path: Path) -> None:
    project = Project(tmp_path / "project")
    project.telemetry(1)
    project.run(1, 1, until="drift")
    for table in ("prediction_sample", "reference_sample", "multivariate_drift"):
        assert project.rows(f"from {table}") == []
