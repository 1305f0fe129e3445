"""A day of Parquet becomes counts that SQL can repeat, whatever the division into files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from data import (
    KEY,
    Row,
    assert_same_rows,
    day,
    feature_columns,
    model_version,
    prediction_columns,
    write_day,
    write_project,
)
from project import Project, outcomes

from driftlake.config import Settings
from driftlake.engines.local import profile_partitions
from driftlake.inputs.columns import TELEMETRY_COLUMNS
from driftlake.inputs.partitions import read_partitions
from driftlake.inputs.predictions import Reading, create_version_tables, create_view_of_partitions
from driftlake.lake import queries, schema
from driftlake.lake.session import open_session
from driftlake.lake.warehouse import Warehouse
from driftlake.lineage.lineage_files import read_lineage_folder
from driftlake.maths.binning import FeatureBins, learn_category_bins
from driftlake.maths.numeric_bins import learn_numeric_bins
from driftlake.nightly.profiles import profile_days
from driftlake.nightly.stages import new_context
from driftlake.profiles.kernel import count_column
from driftlake.profiles.rows import Profiles
from driftlake.training.registration import register

NUMERIC = ("age", "balance", "amount", "ratio")
CATEGORICAL = ("channel", "is_member", "children")
ROWS = 3000

# The counted rows of the day of the `night` fixture, as a user would query them.
PREDICTIONS = """
create or replace temp view predictions as
select *
from read_parquet({files}, filename = true, file_row_number = true)
where model_version = 'v1'
qualify row_number() over (partition by correlation_id order by event_time, filename, file_row_number) = 1
"""
NUMERIC_RECOUNT = """
with placed as (
    select
        deployment,
        g.grid_cells,
        grid_cell({feature}, g.grid_transform, g.grid_scale, g.grid_lower, g.grid_upper, g.grid_cells, borders := g.borders)
            as cell
    from predictions
    cross join (
        select
            any_value(columns('^grid_')),
            list_append(list(lower order by lower) filter (where lower is not null), max(upper)) as borders
        from feature_bins
        where feature = '{feature}'
    ) as g
)
select
    deployment,
    case when cell is null then 0 when cell < 0 then 1 when cell >= p.grid_cells then 2 else b.bin_id end as bin_id,
    count(*) as row_count
from placed as p
left join feature_bins as b on b.feature = '{feature}' and p.cell between b.cell_first and b.cell_last
group by all
order by all
"""
CATEGORY_RECOUNT = """
select
    deployment,
    case when {feature} is null then 0 else coalesce(c.bin_id, 2) end as bin_id,
    count(*) as row_count
from predictions
left join feature_categories as c on c.feature = '{feature}' and c.category = {feature}::varchar
group by all
order by all
"""


def a_day(generator: np.random.Generator) -> dict[str, pa.Array]:
    """Predictions that differ from training: wider numbers, an unseen category, duplicates, an unknown version."""
    columns = prediction_columns(1, ROWS, generator)
    columns["age"] = pa.array(generator.integers(10, 110, ROWS))
    columns["channel"] = pa.array(generator.choice(["web", "app", "fax"], ROWS))
    columns["deployment"] = pa.array(generator.choice(["production", "shadow"], ROWS))
    columns["model_version"] = pa.array(generator.choice(["v1", "unregistered"], ROWS, p=[0.9, 0.1]))
    columns["correlation_id"] = pa.array([f"c{number}" for number in generator.integers(0, ROWS, ROWS)])
    return columns


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    generator = np.random.default_rng(20240301)
    root = tmp_path_factory.mktemp("project")
    training = feature_columns(5000, generator) | {"score": pa.array(generator.random(5000))}
    settings = write_project(root, features=(*NUMERIC, *CATEGORICAL), training=training)
    rows = pa.table(a_day(generator))
    write_day(root / "telemetry", 1, rows[: ROWS // 2], name="part-0")
    write_day(root / "telemetry", 1, rows[ROWS // 2 :], name="part-1")
    return settings


@pytest.fixture(scope="module")
def night(project: Settings) -> Iterator[Warehouse]:
    """The warehouse after day 1 was profiled, with the raw rows that count as the view `predictions`."""
    with Warehouse.open(project) as warehouse:
        register(warehouse, project, read_lineage_folder(project))
        profile_days(warehouse, project, new_context(project, "night"), [day(1)])
        for macro in schema.session_macros():
            warehouse.connection.execute(macro)
        files = queries.literal(project.resolve("telemetry/*/*.parquet"))
        warehouse.connection.execute(PREDICTIONS.format(files=files))
        yield warehouse


def profile_of(night: Warehouse, feature: str) -> list[Row]:
    rows: list[Row] = night.sql(
        "select deployment, bin_id, row_count from feature_profile where feature = ? order by all", [feature]
    ).to_pylist()
    return rows


@pytest.mark.parametrize("feature", NUMERIC)
def test_a_numeric_feature_is_recounted_in_sql_from_its_stored_bins(night: Warehouse, feature: str) -> None:
    assert night.sql(NUMERIC_RECOUNT.format(feature=feature)).to_pylist() == profile_of(night, feature)


@pytest.mark.parametrize("feature", CATEGORICAL)
def test_a_categorical_feature_is_recounted_in_sql_from_its_stored_categories(night: Warehouse, feature: str) -> None:
    assert night.sql(CATEGORY_RECOUNT.format(feature=feature)).to_pylist() == profile_of(night, feature)


def test_scores_are_recounted_in_sql_from_their_stored_bins(night: Warehouse) -> None:
    stored = night.sql("select deployment, bin_id, row_count from prediction_profile order by all")
    assert night.sql(NUMERIC_RECOUNT.format(feature="score")).to_pylist() == stored.to_pylist()


def test_the_recounted_features_use_every_transform(night: Warehouse) -> None:
    found = night.sql("select distinct grid_transform from feature_bins where grid_transform is not null order by all")
    assert found.column(0).to_pylist() == ["asinh", "linear", "log", "logit"]


def test_every_feature_counts_every_prediction_once(night: Warehouse) -> None:
    [expected] = night.sql("select count(*) from predictions").column(0).to_pylist()
    counted = night.sql("select sum(row_count)::bigint from feature_profile group by feature").column(0).to_pylist()
    assert counted == [expected] * 7


def test_moments_are_those_of_the_raw_rows(night: Warehouse) -> None:
    [stored] = night.sql("select * from feature_stats where feature = 'amount' and deployment = 'shadow'").to_pylist()
    [raw] = night.sql(
        "select count(*) as row_count, count(*) - count(amount) as missing_count, avg(amount) as mean,"
        " stddev_pop(amount) as standard_deviation, min(amount) as minimum, max(amount) as maximum"
        " from predictions where deployment = 'shadow'"
    ).to_pylist()
    assert {name: stored[name] for name in raw} == pytest.approx(raw)


def test_training_features_lie_in_range_bins(night: Warehouse) -> None:
    outside = night.sql(
        "select feature, bin_kind, row_count from reference_profile natural join feature_bins"
        " where bin_kind in ('below', 'above', 'unseen') and feature <> 'score'"
    )
    assert outside.to_pylist() == []


def test_profiling_a_day_again_gives_the_same_rows(night: Warehouse, project: Settings) -> None:
    tables = ("feature_profile", "feature_stats", "prediction_profile", "service_profile", "service_levels")
    before = {table: night.sql(f"select * from {table}") for table in tables}
    profile_days(night, project, new_context(project, "again"), [day(1)])
    for table in tables:
        assert_same_rows(night.sql(f"select * from {table}"), before[table])


# --- without a warehouse: any cut of the rows gives the same counts ---

RATIO = learn_numeric_bins("ratio", np.linspace(0, 1, 1000))
CHANNEL = learn_category_bins("channel", ["web", "app"], np.array([600, 300]))


def profiled(root: Path, *bins: FeatureBins, threads: int = 2, **telemetry: str) -> Profiles:
    """Profiles of day 1 below `root` for version v1 with the given features."""
    settings = Settings.model_validate(
        {
            "telemetry": {"path": str(root), **telemetry},
            "lineage": {"path": "lineage"},
            "start": day(1),
            "compute": {"threads": threads},
        }
    )
    versions = {KEY: model_version(bins)}
    partitions = read_partitions(str(root), [day(1)], TELEMETRY_COLUMNS, {})
    with open_session(settings) as connection:
        create_version_tables(connection, list(versions.values()), {})
        create_view_of_partitions(connection, "predictions", partitions, Reading(TELEMETRY_COLUMNS, {}))
        return profile_partitions(connection, settings, partitions, versions)


def sorted_rows(profiles: Profiles) -> list[Row]:
    rows: list[Row] = profiles.tables["feature_profile"].to_pylist()
    return sorted(rows, key=lambda row: (row["deployment"], row["feature"], row["bin_id"]))


@pytest.fixture
def columns() -> Mapping[str, pa.Array]:
    return prediction_columns(1, 600, np.random.default_rng(1))


def test_three_files_count_as_one(tmp_path: Path, columns: Mapping[str, pa.Array]) -> None:
    write_day(tmp_path / "one", 1, columns)
    for number, part in enumerate(np.array_split(np.arange(600), [100, 101])):
        write_day(tmp_path / "three", 1, pa.table(columns).take(pa.array(part)), name=f"part-{number}")
    assert sorted_rows(profiled(tmp_path / "three", RATIO, CHANNEL)) == sorted_rows(
        profiled(tmp_path / "one", RATIO, CHANNEL)
    )


def test_two_threads_count_as_one(tmp_path: Path) -> None:
    # fewer rows than this are not divided among threads
    count = 210_000
    generator = np.random.default_rng(1)
    columns = prediction_columns(1, 1, generator)
    rows = {name: pa.repeat(values[0], count) for name, values in columns.items()}
    ratio = generator.random(count)
    path = write_day(tmp_path, 1, rows | {"correlation_id": pa.array(np.arange(count)), "ratio": pa.array(ratio)})
    pq.write_table(pq.read_table(path), path, row_group_size=50_000)
    shared = profiled(tmp_path, RATIO, threads=2)
    assert sorted_rows(shared) == sorted_rows(profiled(tmp_path, RATIO, threads=1))
    assert sum(row["row_count"] for row in sorted_rows(shared)) == count


def test_features_in_a_struct_count_as_columns_of_their_own(tmp_path: Path, columns: Mapping[str, pa.Array]) -> None:
    features = ("ratio", "channel")
    wide = {name: values for name, values in columns.items() if name not in features}
    struct = pa.StructArray.from_arrays([columns[name] for name in features], features)
    write_day(tmp_path / "wide", 1, columns)
    write_day(tmp_path / "nested", 1, wide | {"inputs": struct})
    nested = profiled(tmp_path / "nested", RATIO, CHANNEL, features_column="inputs")
    assert sorted_rows(nested) == sorted_rows(profiled(tmp_path / "wide", RATIO, CHANNEL))


def test_interleaved_deployments_are_counted_apart(tmp_path: Path, columns: Mapping[str, pa.Array]) -> None:
    deployment = np.array(["production", "shadow"] * 300)
    write_day(tmp_path, 1, {**columns, "deployment": pa.array(deployment)})
    rows = [row for row in sorted_rows(profiled(tmp_path, RATIO)) if row["deployment"] == "shadow"]
    [expected] = count_column(columns["ratio"].filter(pa.array(deployment == "shadow")), RATIO).bins
    assert {row["bin_id"]: row["row_count"] for row in rows} == {
        int(bin_id): int(expected[bin_id]) for bin_id in np.flatnonzero(expected)
    }


@pytest.mark.parametrize(
    ("ratio", "problem"),
    [(None, "ratio"), (pa.array(["text"] * 600), "string")],
    ids=["absent", "of another type"],
)
def test_a_feature_that_cannot_be_counted_is_refused_and_the_others_are_not(
    tmp_path: Path, columns: Mapping[str, pa.Array], ratio: pa.Array | None, problem: str
) -> None:
    changed = {name: values for name, values in columns.items() if name != "ratio"}
    write_day(tmp_path, 1, changed | ({} if ratio is None else {"ratio": ratio}))
    profiles = profiled(tmp_path, RATIO, CHANNEL)
    assert [(refused.feature, refused.row_count) for refused in profiles.refused_features] == [("ratio", 600)]
    assert problem in profiles.refused_features[0].message
    assert {row["feature"] for row in sorted_rows(profiles)} == {"channel"}


def test_a_feature_that_one_file_lacks_is_refused_for_the_whole_day(
    tmp_path: Path, columns: Mapping[str, pa.Array]
) -> None:
    table = pa.table(columns)
    write_day(tmp_path, 1, table[:300], name="part-0")
    write_day(tmp_path, 1, table[300:].drop_columns(["ratio"]), name="part-1")
    assert features_of(profiled(tmp_path, RATIO, CHANNEL)) == ["channel"]


def features_of(profiles: Profiles) -> Sequence[str]:
    return sorted(set(profiles.tables["feature_profile"]["feature"].to_pylist()))


def test_a_file_may_lack_a_feature_that_only_another_version_has(tmp_path: Path) -> None:
    project = Project(tmp_path / "project")
    project.register("v2", features=["x"])
    project.telemetry(1, correlation_id=["a"])
    project.telemetry(1, name="part-1", correlation_id=["b", "c"], model_version=["v2"] * 2, colour=None)
    [report] = project.run(1, 1, until="profiles")
    assert outcomes(report) == {day(1): "complete"}
    counted = project.rows("select model_version, feature, row_count from feature_stats order by all")
    assert counted == [("v1", "colour", 1), ("v1", "x", 1), ("v2", "x", 2)]
