"""Turning counts of days into rows of the profile tables.

Not here: what is counted (`driftlake.profiles.plan`), the counting of a shard (`driftlake.profiles.shards`) and reading back (`driftlake.drift.bucket_history`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from driftlake.inputs.features import RefusedFeature
from driftlake.inputs.predictions import PredictionGroup
from driftlake.lake import queries
from driftlake.lake.schema import arrow_schema
from driftlake.maths.binning import FeatureBins
from driftlake.maths.segments import ALL
from driftlake.profiles.kernel import FeatureCounts, StackedCounts
from driftlake.profiles.plan import Day
from driftlake.profiles.shards import VersionCounts


@dataclass(frozen=True, slots=True)
class Profiles:
    """Rows of the profile tables, and what had to be left out of them."""

    tables: Mapping[str, pa.Table]
    refused_features: Sequence[RefusedFeature]
    # repeated rows of each day, which are counted once
    duplicate_counts: Mapping[date, int]


# The tables that are filled from counts.
_TABLES = (
    "feature_profile",
    "feature_stats",
    "prediction_profile",
    "class_profile",
    "class_score_profile",
    "service_profile",
    "importance_profile",
    "pair_profile",
    "prediction_sample",
)
# Those of them that have no segments.
_WITHOUT_SEGMENTS = ("class_score_profile", "prediction_sample")
# Their key columns; counts fill the other columns.
_KEY = ("dt", "model_id", "model_version", "deployment", "segment")
# Cells of the counts of features that are turned into rows at once; segments multiply them.
_CELLS_AT_ONCE = 2_000_000
# The columns from which distinct_profile and heavy_hitters are derived; they are not stored.
_VALUE_COUNTS = {"column_name": pa.string(), "value": pa.large_string(), "row_count": pa.int64()}


@cache
def _columns() -> Mapping[str, Mapping[str, pa.DataType]]:
    """The columns that counts fill, by table."""
    counted = {
        name: {field.name: field.type for field in arrow_schema(name) if field.name not in _KEY} for name in _TABLES
    }
    return counted | {"value_counts": _VALUE_COUNTS}


class ProfileRows:
    """Collects the counts of days as rows of the profile tables."""

    def __init__(self) -> None:
        self._groups: list[tuple[PredictionGroup, str]] = []
        # per table, pieces of columns; `group` is a position in `_groups`, which has the key columns of the rows
        self._pieces: dict[str, list[Mapping[str, Any]]] = {name: [] for name in _columns()}
        # counts of features that are not rows yet, each with the position of its first group
        self._counted: list[tuple[int, FeatureBins, FeatureCounts]] = []
        self._cell_count = 0

    def add(self, day: Day, counts: Sequence[VersionCounts]) -> None:
        """Add the counts of the versions of a day."""
        segments_of_groupings = [[ALL], *(column.segments for column in day.segment_columns)]
        for version, counted in zip(day.versions, counts, strict=True):
            deployments = day.groups[version.first_code : version.first_code + version.deployment_count]
            for grouping, segments in enumerate(segments_of_groupings):
                first = len(self._groups)
                self._groups += [(deployment, segment) for deployment in deployments for segment in segments]
                # parts of a version have some of its features, or none
                for name, of_groupings in counted.features.items():
                    self._count(first, version.features[name], of_groupings[grouping])
                for name, profiles in counted.profiles.items():
                    columns = profiles[grouping].columns()
                    self._add(name, first + columns.pop("group"), **columns)

    def tables(self, connection: duckdb.DuckDBPyConnection) -> dict[str, pa.Table]:
        """The rows of every profile table, with the tables that are derived from value_counts."""
        self._add_features()
        tables = {name: self._table(name) for name in _columns()}
        for name in _WITHOUT_SEGMENTS:
            tables[name] = tables[name].drop_columns(["segment"])
        connection.register("service_rows", tables["service_profile"])
        return tables | {"service_levels": queries.table(connection, "profiles/service_levels")}

    def _table(self, name: str) -> pa.Table:
        pieces = self._pieces[name]
        groups = np.concatenate([np.empty(0, np.int64), *(piece["group"] for piece in pieces)])
        columns = {column: _joined(pieces, column, kind) for column, kind in _columns()[name].items()}
        return pa.table(self._key_columns(groups) | columns)

    def _count(self, first: int, bins: FeatureBins, counts: FeatureCounts) -> None:
        self._counted.append((first, bins, counts))
        self._cell_count += counts.bins.size
        if self._cell_count >= _CELLS_AT_ONCE:
            self._add_features()

    def _add_features(self) -> None:
        """Make rows of everything that was counted since the last time: arrays of many features cost less than many arrays."""
        if not self._counted:
            return
        firsts, features, counts = zip(*self._counted, strict=True)
        self._counted, self._cell_count = [], 0
        stacked = StackedCounts.of(features, counts)
        sizes = [len(of_feature.bins) for of_feature in counts]
        groups = np.repeat(np.array(firsts) - (np.cumsum(sizes) - sizes), sizes) + np.arange(sum(sizes))
        names = pa.array([bins.feature for bins in features], pa.string()).dictionary_encode()

        def of_series(series: NDArray[np.int64]) -> dict[str, NDArray[Any] | pa.Array]:
            return {"groups": groups[series], "feature": names.take(pa.array(stacked.places[series]))}

        series, bin_ids = np.nonzero(stacked.bins)
        self._add("feature_profile", **of_series(series), bin_id=bin_ids, row_count=stacked.bins[series, bin_ids])
        series = np.flatnonzero(stacked.bins.any(axis=-1))
        stats = {name: values[series] for name, values in stacked.stats().items()}
        self._add("feature_stats", **of_series(series), **stats)

    def _add(self, table: str, groups: NDArray[np.int64], **columns: NDArray[Any] | pa.Array) -> None:
        self._pieces[table].append({"group": groups, **columns})

    def _key_columns(self, groups: NDArray[np.int64]) -> dict[str, pa.Array]:
        places = pa.array(groups)

        def column(texts: Iterable[Any], kind: pa.DataType) -> pa.Array:
            # dictionary-encoded, because with many segments millions of rows have a few distinct texts
            return pa.array(texts, kind).dictionary_encode().take(places)

        return {
            "dt": column((group.dt for group, _ in self._groups), pa.date32()),
            "model_id": column((group.model_id for group, _ in self._groups), pa.string()),
            "model_version": column((group.model_version for group, _ in self._groups), pa.string()),
            "deployment": column((group.deployment for group, _ in self._groups), pa.string()),
            "segment": column((segment for _, segment in self._groups), pa.string()),
        }


def _joined(pieces: Sequence[Mapping[str, Any]], column: str, kind: pa.DataType) -> pa.Array:
    if any(isinstance(piece[column], pa.Array) for piece in pieces):
        return pa.concat_arrays([piece[column] for piece in pieces])
    return pa.array(np.concatenate([piece[column] for piece in pieces]) if pieces else [], kind, from_pandas=True)
