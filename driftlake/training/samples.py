"""Samples of the training data and of the predictions of a window, for a closer look with another tool.

Both samples have the same columns and types, because some tools require it. They hold no ids and no times: a row is named
by the hash that chose it, so the same call gives the same rows. Not here: the samples that nights compare (`driftlake.profiles.row_samples`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from driftlake.config import LABELS, LabelSettings, Settings
from driftlake.errors import InputError
from driftlake.inputs.columns import feature_column, label_columns, telemetry_columns
from driftlake.inputs.partitions import Partition, days_between, readable, without_corrupt_files
from driftlake.inputs.predictions import (
    LeftOut,
    Reading,
    code_rows,
    create_version_tables,
    create_view_of_partitions,
    percent_versions,
)
from driftlake.inputs.sources import read_source
from driftlake.lake import queries
from driftlake.lake.session import create_table, open_session
from driftlake.lake.warehouse import Warehouse
from driftlake.lake.whole_files import replaced_whole
from driftlake.lineage.lineage_files import LineageFile, read_lineage_folder
from driftlake.lineage.versions import ModelVersion, load_versions
from driftlake.maths import encoding
from driftlake.maths.binning import FeatureBins
from driftlake.maths.encoding import Column
from driftlake.nightly.readings import counted_telemetry
from driftlake.privacy.personal_columns import found_in_profiles
from driftlake.profiles.label_join import EARLY_LABEL_DAYS
from driftlake.training.learning import TrainingData, scores_of
from driftlake.training.registration import require_same_data
from driftlake.training.targets import labels_and_scores
from driftlake.vocabulary.wording import first_of

_LISTED_NAMES = 20


@dataclass(frozen=True, slots=True)
class Samples:
    """Rows of the training data and of the predictions: row_id, features, score and label."""

    reference: pa.Table
    current: pa.Table

    def write(self, folder: Path) -> list[Path]:
        """Write reference.parquet and current.parquet into a folder."""
        paths = []
        for name, rows in (("reference", self.reference), ("current", self.current)):
            path = folder / f"{name}.parquet"
            with replaced_whole(path) as temporary:
                pq.write_table(rows, temporary)
            paths.append(path)
        return paths


@dataclass(frozen=True, slots=True)
class Asked:
    """The requested predictions and columns; without `features` all of them, and without `model_version` the only version."""

    model_id: str
    model_version: str | None
    last_day: date
    window_days: int
    deployment: str = "production"
    features: Sequence[str] = ()
    row_count: int = 10_000


def take_samples(warehouse: Warehouse, settings: Settings, asked: Asked) -> Samples:
    """Samples of a version: of its training data, and of its predictions in the window that ends with the last day.

    A column with personal data is left out of a day. Raises InputError if there is no such version, feature or
    prediction, or if the training data cannot be read any more.
    """
    version = _version(warehouse, asked)
    bins = {name: version.features[name] for name in _features(version, asked)}
    file = _lineage_file(settings, version)
    return Samples(
        _reference(warehouse, file, version, bins, asked.row_count), _current(warehouse, settings, version, bins, asked)
    )


def _version(warehouse: Warehouse, asked: Asked) -> ModelVersion:
    versions = load_versions(warehouse)
    models = sorted({model_id for model_id, _ in versions})
    if asked.model_id not in models:
        raise InputError(
            f"there is no model {asked.model_id}", hint=f"there is {first_of(models, _LISTED_NAMES) or 'none'}"
        )
    known = [version for model_id, version in versions if model_id == asked.model_id]
    wanted = known if asked.model_version is None else [asked.model_version]
    if len(wanted) > 1:
        raise InputError(
            f"{asked.model_id} has several versions",
            hint=f"choose one with --version: {first_of(known, _LISTED_NAMES)}",
        )
    if (asked.model_id, wanted[0]) not in versions:
        raise InputError(
            f"there is no version {wanted[0]} of {asked.model_id}", hint=f"there is {first_of(known, _LISTED_NAMES)}"
        )
    return versions[asked.model_id, wanted[0]]


def _features(version: ModelVersion, asked: Asked) -> Sequence[str]:
    if unknown := [name for name in asked.features if name not in version.features]:
        raise InputError(
            f"{version.model_id} {version.model_version} has no feature {', '.join(unknown)}",
            hint=f"its features are {first_of(list(version.features), _LISTED_NAMES)}",
        )
    return list(dict.fromkeys(asked.features)) or list(version.features)


def _lineage_file(settings: Settings, version: ModelVersion) -> LineageFile:
    for file in read_lineage_folder(settings):
        if (file.record.model_id, file.record.model_version) == (version.model_id, version.model_version):
            return file
    raise InputError(
        f"the lineage file of {version.model_id} {version.model_version} is no longer in {settings.lineage.path}",
        hint="restore it: it says where the training data is",
    )


def _reference(
    warehouse: Warehouse, file: LineageFile, version: ModelVersion, bins: dict[str, FeatureBins], row_count: int
) -> pa.Table:
    data = TrainingData(file)
    require_same_data(warehouse, file, data.fingerprint())
    sampled = warehouse.query("lineage/sampled_positions", row_count=data.row_count(), sample_rows=row_count)
    positions = sampled["row_number"].combine_chunks()

    def taken(column: Column) -> Column:
        return column.take(positions)

    scores = scores_of(data, file.record)
    columns = {name: _value(of_feature, taken(data.column(name))) for name, of_feature in bins.items()}
    columns["score"] = pa.nulls(len(positions), pa.float64()) if scores is None else _number(taken(scores))
    columns["label"] = taken(_training_labels(file, data, version))
    return pa.table({"row_id": _row_ids(sampled["row_hash"]), **columns})


def _training_labels(file: LineageFile, data: TrainingData, version: ModelVersion) -> pa.Array:
    """The target: 1 and 0 of a binary model, the class or the number of others; null if there is no target."""
    if file.record.target is None:
        return pa.nulls(data.row_count(), pa.string() if version.classes else pa.float64())
    if version.classes:
        return _text(data.column(file.record.target))
    labels, _ = labels_and_scores(data, file.record, version.label_meaning)
    return pa.array(labels, pa.float64(), from_pandas=True)


def _current(
    warehouse: Warehouse, settings: Settings, version: ModelVersion, bins: dict[str, FeatureBins], asked: Asked
) -> pa.Table:
    days = days_between(asked.last_day - timedelta(days=asked.window_days - 1), asked.last_day)
    _, rows = without_corrupt_files(
        counted_telemetry(warehouse, settings, days),
        lambda usable: _sampled(usable, settings, version, bins, asked, days),
    )
    return rows


def _sampled(
    partitions: Sequence[Partition],
    settings: Settings,
    version: ModelVersion,
    bins: dict[str, FeatureBins],
    asked: Asked,
    days: Sequence[date],
) -> pa.Table:
    if not any(partition.row_count for partition in partitions):
        raise InputError(
            f"there is no telemetry that can be read from {days[0]} to {days[-1]} in {settings.telemetry.path}"
        )
    with open_session(settings) as connection:
        create_version_tables(connection, [version], settings.models)
        _create_predictions(connection, settings, version, bins, partitions)
        code_rows(connection, partitions, settings.telemetry)
        deployment = {"deployment": asked.deployment}
        places = queries.table(connection, "samples/places", **version.owner, **deployment, sample_rows=asked.row_count)
        if not places.num_rows:
            raise InputError(
                f"{version.model_id} {version.model_version} ({asked.deployment}) has no predictions"
                f" from {days[0]} to {days[-1]}",
                hint="choose another day, version or deployment",
            )
        create_table(connection, "places", places)
        connection.execute(
            "create table sampled_rows as from predictions inner join places using (file_id, file_row_number)"
        )
        _create_labels(connection, settings, version, days, asked.last_day)
        label = "label_class" if version.classes else "label"
        features = ", ".join(
            f"{queries.quote(_column_name(place))} as {queries.quote(name)}" for place, name in enumerate(bins)
        )
        rows = connection.execute(
            f"select row_hash, {features}, score, l.{label} as label from sampled_rows"
            " left join sampled_labels as l using (file_id, file_row_number) order by row_hash, dt"
        ).to_arrow_table()
    return rows.set_column(0, "row_id", _row_ids(rows["row_hash"]))


def _create_predictions(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    version: ModelVersion,
    bins: dict[str, FeatureBins],
    partitions: Sequence[Partition],
) -> None:
    """Create the view `predictions`, with the features as numbers or texts and without personal data."""
    telemetry = settings.telemetry
    features = [
        feature_column(_column_name(place), is_number=of_feature.grid is not None)
        for place, of_feature in enumerate(bins.values())
    ]
    paths = {_column_name(place): telemetry.path_of(name) for place, name in enumerate(bins)}
    canonical = telemetry_columns(telemetry.segments, time_zone=telemetry.timezone)
    reading = Reading(
        [*canonical, *features],
        {**telemetry.columns, **paths},
        telemetry.segments,
        percent_versions=percent_versions([version]),
    )
    left_out = LeftOut(found_in_profiles(partitions, telemetry, [version]))
    create_view_of_partitions(connection, "predictions", partitions, reading, left_out)


def _column_name(place: int) -> str:
    """A feature may have the name of a canonical column, so in the session each has a name of its own."""
    return f"feature {place}"


def _create_labels(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    version: ModelVersion,
    days: Sequence[date],
    last_day: date,
) -> None:
    """Create the table `sampled_labels` with the labels of `sampled_rows` that had arrived by the last day."""
    asked: LabelSettings = settings.labels or LabelSettings(path=".")
    arrived = days_between(days[0] - timedelta(days=EARLY_LABEL_DAYS), last_day)
    partitions = readable(read_source(settings, LABELS, arrived)) if settings.labels else []
    reading = Reading(label_columns(has_classes=version.has_label_classes), asked.columns)
    create_view_of_partitions(connection, "labels", partitions, reading)
    counting = {
        "horizon_days": asked.horizon_days,
        "early_days": EARLY_LABEL_DAYS,
        "is_latest": asked.corrections == "latest",
    }
    create_table(connection, "sampled_labels", queries.table(connection, "samples/labels", **version.owner, **counting))


def _value(bins: FeatureBins, column: Column) -> Column:
    """A feature as telemetry is read: a number, or the text of a category."""
    return _text(column) if bins.grid is None else _number(column)


def _number(column: Column) -> pa.Array:
    return pa.array(encoding.float_values(column), pa.float64(), from_pandas=True)


def _text(column: Column) -> pa.Array:
    positions, names = encoding.encode(column)
    return pa.array([*names, None], pa.string()).take(pa.array(positions))


def _row_ids(hashes: pa.ChunkedArray) -> pa.Array:
    return pa.array([f"{value:016x}" for value in hashes.to_pylist()], pa.string())
