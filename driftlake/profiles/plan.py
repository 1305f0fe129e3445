"""What is counted of a day, and how the day is cut into shards.

Not here: running the shards on threads or on Spark (`driftlake.engines`), the counting of a shard
(`driftlake.profiles.shards`), and what becomes of the counts (`driftlake.profiles.rows`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from driftlake.config import Settings
from driftlake.inputs.features import RefusedFeature, feature_columns, feature_problem
from driftlake.inputs.parquet_files import InputFile
from driftlake.inputs.partitions import Partition
from driftlake.inputs.predictions import CodedRows, PredictionGroup
from driftlake.lineage.versions import ModelVersion
from driftlake.maths.segments import SegmentColumn
from driftlake.profiles.row_samples import SampledRows
from driftlake.profiles.shards import ColumnNames, CountedVersion, RowGroup, Shard

# Few enough shards that adding them up costs nothing, and enough to keep every thread busy.
_SHARDS, _SMALLEST_SHARD, _LARGEST_SHARD = 4, 250_000, 1_000_000


@dataclass(frozen=True, slots=True)
class Day:
    """What to count of a day: its versions, with the features that all of their files have."""

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
        """Plan a day. If one file of a deployment lacks a feature, the feature is refused for the whole day of that deployment."""
        names = _column_names(settings)
        codes = [code for code, group in enumerate(coded.groups) if group.dt == partition.dt]
        refused: dict[tuple[int, str], RefusedFeature] = {}
        for file in partition.files:
            columns = feature_columns(file, settings.telemetry.features_column)
            for code, row_count in enumerate(coded.row_counts[file.path].tolist()):
                if row_count:
                    group = coded.groups[code]
                    for name, bins in versions[group.model_id, group.model_version].features.items():
                        if message := feature_problem(file, columns, names.of_feature(name), bins):
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
            # a sampled row needs a bin of every feature
            is_sampled = len(features) == len(version.features)
            scores = settings.telemetry.class_scores
            paths = scores.paths(version.classes) if scores else {}
            counted.append(
                CountedVersion(
                    code, 1, features, version.score_bins, cut, version.score_divisor, pairs, is_sampled, paths
                )
            )
        segment_columns = [
            column for column in coded.segment_columns.get(partition.dt, ()) if column.name not in blocked
        ]
        merged = _merged(counted, coded.groups)
        return cls(partition, coded.groups, merged, segment_columns, list(refused.values()), _without(names, blocked))

    def shard(self, row_groups: Iterable[RowGroup]) -> Shard:
        """Some row groups of the day."""
        return Shard(list(row_groups), self.versions, self.segment_columns, self.names)


@dataclass(frozen=True, slots=True)
class Piece:
    """A row group of a file: rows `start` to `end` - 1."""

    file: InputFile
    index: int
    start: int
    end: int

    def row_group(self, codes: NDArray[Any], sampled: SampledRows | None) -> RowGroup:
        """The row group with the codes of its rows; `sampled` are the sampled rows of the whole file."""
        of_piece = sampled.between(self.start, self.end) if sampled else SampledRows()
        return RowGroup(self.file.path, self.index, self.file.countable_columns, codes, of_piece, self.file.values)


def cut_day(partition: Partition) -> list[list[Piece]]:
    """Cut a day into shards; the cuts depend only on its files."""
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
    """Merge neighbouring deployments of a version that have the same features, so that they are counted together."""
    merged: list[CountedVersion] = []
    for version in counted:
        last = merged[-1] if merged else None
        if (
            last
            and _owner(groups[last.first_code]) == _owner(groups[version.first_code])
            and last.features.keys() == version.features.keys()
        ):
            merged[-1] = replace(last, deployment_count=last.deployment_count + 1)
        else:
            merged.append(version)
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
