"""Served values of features compared with those that were computed offline for the same predictions: rows of feature_skew.

It finds a fault that a comparison of distributions does not find: each value is plausible, but belongs to another row, day
or unit. Not here: reading and storing (`driftlake.nightly.profiles`), and the comparison of one feature
(sql/profiles/feature_skew.sql).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from driftlake.config import Settings
from driftlake.inputs.columns import OFFLINE_COLUMNS, feature_column, telemetry_columns
from driftlake.inputs.partitions import Partition, readable
from driftlake.inputs.predictions import Reading, create_version_tables, create_view_of_partitions
from driftlake.lake import queries
from driftlake.lake.schema import arrow_schema
from driftlake.lake.session import create_table, open_session
from driftlake.lineage.versions import ModelVersion
from driftlake.maths.binning import FeatureBins
from driftlake.maths.segments import ALL

# Two pipelines that store a number as 32 and as 64 bits differ by less, relative to the number.
_ROUNDING = 1e-6
_SAMPLE_IDS = 3


def compare_offline(
    settings: Settings,
    telemetry: Sequence[Partition],
    offline: Sequence[Partition],
    versions: Mapping[tuple[str, str], ModelVersion],
    counted_segments: pa.Table,
) -> pa.Table:
    """Rows of feature_skew of the days of `offline`; `counted_segments` are those in which predictions were counted."""
    tables = [arrow_schema("feature_skew").empty_table()]
    days = {partition.dt for partition in offline if partition.row_count}
    served = [partition for partition in telemetry if partition.dt in days]
    found = {name for partition in offline for file in partition.files for name in file.columns}
    if not served or settings.telemetry.offline is None:
        return tables[0]
    features = _features(versions.values(), found)
    with open_session(settings) as connection:
        create_version_tables(connection, list(versions.values()), settings.models)
        create_table(connection, "counted_segments", counted_segments)
        _create_sides(connection, settings, readable(served), readable(offline), features)
        queries.run(connection, "profiles/offline_pairs")
        for version in versions.values():
            wanted = [feature for feature in features if feature.is_of(version)]
            tables += [_of_feature(connection, settings, version, feature) for feature in wanted]
    return pa.concat_tables([table.cast(tables[0].schema) for table in tables])


def counted_segments(prediction_profile: pa.Table) -> pa.Table:
    """The segments in which predictions were counted, as sql/labels/counted_segments.sql has them for stored rows."""
    key = ["dt", "model_id", "model_version", "deployment", "segment"]
    rows = prediction_profile.select(key)
    rows = rows.cast(pa.schema([arrow_schema("prediction_profile").field(name) for name in key]))
    return rows.filter(pc.field("segment") != ALL).group_by(key).aggregate([])


@dataclass(frozen=True, slots=True)
class _Feature:
    """A feature as a number or as a category, which may differ between versions, and its column in the session."""

    name: str
    is_number: bool
    column: str

    def is_of(self, version: ModelVersion) -> bool:
        bins = version.features.get(self.name)
        return bins is not None and (bins.grid is not None) == self.is_number


def _features(versions: Collection[ModelVersion], offline: Collection[str]) -> list[_Feature]:
    """The features of the versions that the offline files have."""

    def named() -> Iterator[tuple[str, bool]]:
        for version in versions:
            for name, bins in version.features.items():
                if name in offline:
                    yield name, _is_number(bins)

    return [
        _Feature(name, is_number, f"feature {place}") for place, (name, is_number) in enumerate(dict.fromkeys(named()))
    ]


def _is_number(bins: FeatureBins) -> bool:
    return bins.grid is not None


def _create_sides(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    served: Sequence[Partition],
    offline: Sequence[Partition],
    features: Sequence[_Feature],
) -> None:
    """Create the views `predictions` and `offline_values`, with a column for each feature."""
    telemetry = settings.telemetry
    assert telemetry.offline is not None
    columns = [feature_column(feature.column, is_number=feature.is_number) for feature in features]
    canonical = telemetry_columns(telemetry.segments, time_zone=telemetry.timezone)
    of_telemetry = {feature.column: telemetry.path_of(feature.name) for feature in features}
    reading = Reading([*canonical, *columns], {**telemetry.columns, **of_telemetry}, telemetry.segments)
    create_view_of_partitions(connection, "predictions", served, reading)
    of_offline = {feature.column: feature.name for feature in features}
    reading = Reading([*OFFLINE_COLUMNS, *columns], {**telemetry.offline.columns, **of_offline})
    create_view_of_partitions(connection, "offline_values", offline, reading)


def _of_feature(
    connection: duckdb.DuckDBPyConnection, settings: Settings, version: ModelVersion, feature: _Feature
) -> pa.Table:
    assert settings.telemetry.offline is not None
    number, text = ("{0}", "null::varchar") if feature.is_number else ("null::double", "{0}")
    sides = [f"served.{queries.quote(feature.column)}", f"offline.{queries.quote(feature.column)}"]
    selected = [
        f"{form.format(side)} as {name}_{kind}"
        for name, side in zip(("served", "offline"), sides, strict=True)
        for form, kind in ((number, "number"), (text, "text"))
    ]
    connection.execute(
        "create or replace temp view value_pairs as select dt, model_id, model_version, deployment, correlation_id,"
        f" segments, {', '.join(selected)} from offline_pairs"
        f" where model_id = {queries.literal(version.model_id)}"
        f" and model_version = {queries.literal(version.model_version)}"
    )
    return queries.table(
        connection,
        "profiles/feature_skew",
        feature=feature.name,
        tolerance=settings.telemetry.offline.tolerance.get(feature.name),
        rounding=_ROUNDING,
        sample_ids=_SAMPLE_IDS,
    )
