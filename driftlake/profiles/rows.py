"""What is counted of a day and how it is cut into shards; counts as rows of the profile tables.

Not here: who counts the shards (engines/), the counting of a shard (shards.py) and reading back (drift/comparison.py).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import cache
from itertools import pairwise
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from driftlake.config import Settings
from driftlake.inputs.columns import other_case
from driftlake.inputs.partitions import InputFile, Partition, oversize
from driftlake.inputs.predictions import CodedRows, PredictionGroup
from driftlake.lake import queries
from driftlake.lake.schema import arrow_schema
from driftlake.lineage.versions import ModelVersion
from driftlake.maths import encoding
from driftlake.maths.binning import FeatureBins
from driftlake.maths.segments import ALL, SegmentColumn
from driftlake.profiles.kernel import FeatureCounts
from driftlake.profiles.row_samples import SampledRows
from driftlake.profiles.shards import ColumnNames, CountedVersion, RowGroup, Shard, VersionCounts

# Few enough shards that putting them together costs nothing, enough that every thread has some.
_SHARDS, _SMALLEST_SHARD, _LARGEST_SHARD = 4, 250_000, 1_000_000


@dataclass(frozen=True, slots=True)
class RefusedFeature:
    """A feature that a file of a day lacks or stores in a type that cannot be counted."""

    key: PredictionGroup
    feature: str
    path: str
    row_count: int
    message: str


@dataclass(frozen=True, slots=True)
class Profiles:
    """Rows of the profile tables, and what had to be left out of them."""

    tables: Mapping[str, pa.Table]
    refused_features: Sequence[RefusedFeature]
    # rows of each day that were delivered before, and are counted once
    surplus_counts: Mapping[date, int]


@dataclass(frozen=True, slots=True)
class Day:
    """What to count of a day: its versions with the features that every file of theirs has."""

    partition: Partition
    groups: Sequence[PredictionGroup]
    versions: Sequence[CountedVersion]
    segment_columns: Sequence[SegmentColumn]
    refused: Sequence[RefusedFeature]
    names: ColumnNames

    @classmethod
    def of(
        cls,
        partition: Partition,
        coded: CodedRows,
        versions: Mapping[tuple[str, str], ModelVersion],
        settings: Settings,
        blocked: Collection[str],
    ) -> Day:
        """Plan a day; a feature that one file of a deployment lacks is refused for that deployment's whole day."""
        names = _column_names(settings)
        codes = [code for code, group in enumerate(coded.groups) if group.dt == partition.dt]
        refused: dict[tuple[int, str], RefusedFeature] = {}
        for file in partition.files:
            columns = feature_columns(file, settings.telemetry.features_column)
            for code, row_count in enumerate(coded.row_counts[file.path].tolist()):
                if row_count:
                    group = coded.groups[code]
                    for name, bins in versions[group.model_id, group.model_version].features.items():
                        if message := feature_objection(file, columns, names.of_feature(name), bins):
                            refused[code, name] = RefusedFeature(group, name, file.path, row_count, message)
        counted: list[CountedVersion] = []
        for code in codes:
            group = coded.groups[code]
            version = versions[group.model_id, group.model_version]
            features = {
                name: bins
                for name, bins in version.features.items()
                if (code, name) not in refused and names.of_feature(name) not in blocked
            }
            pairs = [pair for pair in settings.pairs_of(group.model_id) if set(pair) <= features.keys()]
            cut = version.decision_cut(settings.models.get(group.model_id))
            # a sampled row has a bin of every feature
            is_sampled = len(features) == len(version.features)
            counted.append(CountedVersion(code, 1, features, version.score_bins, cut, pairs, is_sampled))
        segment_columns = [one for one in coded.segment_columns.get(partition.dt, ()) if one.name not in blocked]
        merged = _merged(counted, coded.groups)
        return cls(partition, coded.groups, merged, segment_columns, list(refused.values()), _without(names, blocked))

    def shard(self, row_groups: Iterable[RowGroup]) -> Shard:
        """Some row groups of the day."""
        return Shard(list(row_groups), self.versions, self.segment_columns, self.names)


@dataclass(frozen=True, slots=True)
class Piece:
    """A row group of a file: the rows from `start` on, before `end`."""

    file: InputFile
    index: int
    start: int
    end: int

    def row_group(self, codes: NDArray[Any], sampled: SampledRows | None) -> RowGroup:
        """It with the codes of its rows; `sampled` are those of the whole file."""
        of_piece = sampled.between(self.start, self.end) if sampled else SampledRows()
        return RowGroup(self.file.path, self.index, self.file.countable_columns, codes, of_piece)


def cut_day(partition: Partition) -> list[list[Piece]]:
    """A day in shards; where it is cut depends on its files alone."""
    rows_per_shard = min(max(partition.row_count // _SHARDS, _SMALLEST_SHARD), _LARGEST_SHARD)
    shards: list[list[Piece]] = [[]]
    rows = 0
    for piece in _pieces(partition):
        if rows >= rows_per_shard:
            shards.append([])
            rows = 0
        shards[-1].append(piece)
        rows += piece.end - piece.start
    return shards


def _pieces(partition: Partition) -> Iterator[Piece]:
    for file in partition.files:
        starts = np.cumsum([0, *file.row_group_sizes]).tolist()
        for index, (start, end) in enumerate(pairwise(starts)):
            yield Piece(file, index, start, end)


def _merged(counted: Sequence[CountedVersion], groups: Sequence[PredictionGroup]) -> list[CountedVersion]:
    """Neighbouring deployments of a version counted together if they have the same features."""
    merged: list[CountedVersion] = []
    for one in counted:
        last = merged[-1] if merged else None
        if (
            last
            and _owner(groups[last.first_code]) == _owner(groups[one.first_code])
            and last.features.keys() == one.features.keys()
        ):
            merged[-1] = replace(last, deployment_count=last.deployment_count + 1)
        else:
            merged.append(one)
    return merged


def _owner(group: PredictionGroup) -> tuple[str, str]:
    return group.model_id, group.model_version


def _column_names(settings: Settings) -> ColumnNames:
    mapping = settings.telemetry.columns
    return ColumnNames(
        mapping.get("score", "score"),
        {name: mapping.get(name, name) for name in ("latency_ms", *settings.telemetry.latencies)},
        mapping.get("predicted_class", "predicted_class"),
        settings.telemetry.features_column,
        settings.telemetry.shap.path_prefix if settings.telemetry.shap else None,
        settings.telemetry.high_cardinality,
    )


def _without(names: ColumnNames, blocked: Collection[str]) -> ColumnNames:
    kept = tuple(path for path in names.high_cardinality if path not in blocked)
    predicted = "" if names.predicted_class in blocked else names.predicted_class
    return replace(names, high_cardinality=kept, predicted_class=predicted)


def feature_columns(file: InputFile, struct: str | None) -> Mapping[str, pa.DataType]:
    """Columns of a file that may be features: all, or the fields of the struct column."""
    if struct is None:
        return file.columns
    kind = file.columns.get(struct)
    return {field.name: field.type for field in kind} if isinstance(kind, pa.StructType) else {}


def feature_objection(file: InputFile, columns: Mapping[str, pa.DataType], path: str, bins: FeatureBins) -> str | None:
    """Why the column at `path` cannot be counted as the feature it was in training; None if it can.

    `columns` are those that may be features.
    """
    kind = columns.get(bins.feature)
    if kind is None:
        return f"{file.path} has no column {bins.feature}{other_case(bins.feature, columns)}"
    if size := file.cell_bytes(path):
        return f"{file.path} {oversize(bins.feature, size)}"
    if not encoding.fits(kind, bins):
        return f"{file.path}: column {bins.feature} has type {kind}, expected {bins.kind} as in training"
    return None


# The tables that counts become rows of.
_TABLES = (
    "feature_profile",
    "feature_stats",
    "prediction_profile",
    "class_profile",
    "service_profile",
    "importance_profile",
    "pair_profile",
    "prediction_sample",
)
# Their columns that say what was counted; the others are filled by the counts.
_KEY = ("dt", "model_id", "model_version", "deployment", "segment")
# What distinct_profile and heavy_hitters are made of; it is not stored.
_VALUE_COUNTS = {"column_name": pa.string(), "value": pa.large_string(), "row_count": pa.int64()}


@cache
def _columns() -> Mapping[str, Mapping[str, pa.DataType]]:
    """By table, the columns that counts fill."""
    counted = {
        name: {field.name: field.type for field in arrow_schema(name) if field.name not in _KEY} for name in _TABLES
    }
    return counted | {"value_counts": _VALUE_COUNTS}


class ProfileRows:
    """Collects the counts of days as rows of the profile tables."""

    def __init__(self) -> None:
        self._groups: list[tuple[PredictionGroup, str]] = []
        # per table, pieces of columns; `group` is a position in `_groups`, of which the rows take their key columns
        self._pieces: dict[str, list[Mapping[str, Any]]] = {name: [] for name in _columns()}

    def add(self, day: Day, counts: Sequence[VersionCounts]) -> None:
        """Take in the counts of the versions of a day."""
        segments_of_groupings = [[ALL], *(column.segments for column in day.segment_columns)]
        for version, counted in zip(day.versions, counts, strict=True):
            deployments = day.groups[version.first_code : version.first_code + version.deployment_count]
            for grouping, segments in enumerate(segments_of_groupings):
                first = len(self._groups)
                self._groups += [(deployment, segment) for deployment in deployments for segment in segments]
                for name, of_groupings in counted.features.items():
                    self._add_feature(first, version.features[name], of_groupings[grouping])
                for name, profiles in counted.profiles.items():
                    columns = profiles[grouping].columns()
                    self._add(name, first + columns.pop("group"), **columns)

    def tables(self, connection: duckdb.DuckDBPyConnection) -> dict[str, pa.Table]:
        """The rows of every profile table of counts, and of value_counts; what is derived from them, too."""
        tables = {name: self._table(name) for name in _columns()}
        tables["prediction_sample"] = tables["prediction_sample"].drop_columns(["segment"])
        connection.register("service_rows", tables["service_profile"])
        return tables | {"service_levels": queries.table(connection, "service_levels")}

    def _table(self, name: str) -> pa.Table:
        pieces = self._pieces[name]
        groups = np.concatenate([np.empty(0, np.int64), *(piece["group"] for piece in pieces)])
        columns = {column: _joined(pieces, column, kind) for column, kind in _columns()[name].items()}
        return pa.table(self._key_columns(groups) | columns)

    def _add_feature(self, first: int, bins: FeatureBins, counts: FeatureCounts) -> None:
        groups, bin_ids = np.nonzero(counts.bins)
        self._add(
            "feature_profile",
            first + groups,
            feature=bins.feature,
            bin_id=bin_ids,
            row_count=counts.bins[groups, bin_ids],
        )
        present = np.flatnonzero(counts.bins.any(axis=1))
        stats = {column: values_of_group[present] for column, values_of_group in counts.stats(bins).items()}
        self._add("feature_stats", first + present, feature=bins.feature, **stats)

    def _add(self, table: str, groups: NDArray[np.int64], **columns: NDArray[Any] | str) -> None:
        self._pieces[table].append({"group": groups, **columns})

    def _key_columns(self, groups: NDArray[np.int64]) -> dict[str, pa.Array]:
        places = pa.array(groups)

        def column(texts: Iterable[Any], kind: pa.DataType) -> pa.Array:
            # a dictionary: with many segments there are millions of rows of a few texts
            return pa.array(texts, kind).dictionary_encode().take(places)

        return {
            "dt": column((group.dt for group, _ in self._groups), pa.date32()),
            "model_id": column((group.model_id for group, _ in self._groups), pa.string()),
            "model_version": column((group.model_version for group, _ in self._groups), pa.string()),
            "deployment": column((group.deployment for group, _ in self._groups), pa.string()),
            "segment": column((segment for _, segment in self._groups), pa.string()),
        }


def _joined(pieces: Sequence[Mapping[str, Any]], column: str, kind: pa.DataType) -> pa.Array:
    """A column of all pieces; a text that is no array is the same in all rows of a piece."""
    if any(isinstance(piece[column], pa.Array) for piece in pieces):
        return pa.concat_arrays([piece[column] for piece in pieces])
    if pa.types.is_string(kind):
        texts = pa.array([piece[column] for piece in pieces], kind).dictionary_encode()
        return texts.take(pa.array(np.repeat(np.arange(len(pieces)), [len(piece["group"]) for piece in pieces])))
    return pa.array(np.concatenate([piece[column] for piece in pieces]) if pieces else [], kind, from_pandas=True)
