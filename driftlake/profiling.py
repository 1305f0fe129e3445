"""One scan of some partitions: rows of the profile tables.

DuckDB gives every row its code and counts scores and latencies; the features are read as Arrow row groups and counted
by the kernel, threads side by side. Memory is a few row groups, whatever the size of a day. Not here: the counting
itself (kernel.py) and reading back (drift.py).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import TypeVar

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from driftlake import kernel, queries
from driftlake.arrays import Floats, Indices
from driftlake.binning import FeatureBins
from driftlake.config import Settings
from driftlake.inputs import InputFile, Partition, open_parquet
from driftlake.kernel import FeatureAccumulator, FeatureCounts
from driftlake.telemetry import CodedRows, PredictionGroup, code_rows
from driftlake.versions import ModelVersion

Values = TypeVar("Values", Floats, Indices)

# A day is cut into stripes of row groups that threads take one by one. How it is cut depends on the day alone, so that
# the moments, whose last digits depend on the order of additions, are the same whatever the number of threads.
_STRIPES = 4
_ROWS_PER_STRIPE = 100_000


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


@dataclass(frozen=True, slots=True)
class _Task:
    file: InputFile
    row_group: int
    first_row: int
    row_count: int


def profile_partitions(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    partitions: Sequence[Partition],
    versions: Mapping[tuple[str, str], ModelVersion],
) -> Profiles:
    """Profile partitions whose rows `telemetry.offer_partitions` has made visible as the view `predictions`."""
    coded = code_rows(connection, partitions)
    plan = _Plan(settings, coded, versions)
    counted: dict[tuple[int, str], FeatureCounts] = {}
    refused: list[RefusedFeature] = []
    for partition in partitions:
        features, refused_of_day = plan.features_of(partition)
        refused += refused_of_day
        counted |= plan.count(partition, features)
    service_rows = queries.run(connection, "service_profile").to_arrow_table()
    connection.register("service_rows", service_rows)
    return Profiles(
        {
            "feature_profile": _profile_rows(coded.keys, counted),
            "feature_stats": _stats_rows(coded.keys, counted, versions),
            "prediction_profile": queries.run(connection, "prediction_profile").to_arrow_table(),
            "service_profile": service_rows,
            "service_levels": queries.run(connection, "service_levels").to_arrow_table(),
        },
        refused,
    )


class _Plan:
    """What to count of which file: the features of the versions that appear in it."""

    def __init__(self, settings: Settings, coded: CodedRows, versions: Mapping[tuple[str, str], ModelVersion]) -> None:
        self._settings = settings
        self._coded = coded
        self._versions = [versions[key.model_id, key.model_version] for key in coded.keys]

    def features_of(self, partition: Partition) -> tuple[dict[int, list[str]], list[RefusedFeature]]:
        """Features per row code of the day; those that any of its files lacks are refused for the whole day."""
        features: dict[int, list[str]] = {}
        refused: dict[tuple[int, str], RefusedFeature] = {}
        for file in partition.files:
            codes = self._coded.codes[file.path]
            present, counts = np.unique(codes[codes >= 0], return_counts=True)
            columns = self._feature_columns(file)
            for code, rows in zip(present.tolist(), counts.tolist(), strict=True):
                version = self._versions[code]
                features[code] = list(version.features)
                for name, bins in version.features.items():
                    if message := _objection(file, columns.get(name), bins):
                        refused[code, name] = RefusedFeature(self._coded.keys[code], name, file.path, rows, message)
        for code, name in refused:
            features[code].remove(name)
        return features, list(refused.values())

    def count(
        self, partition: Partition, features: Mapping[int, Sequence[str]]
    ) -> dict[tuple[int, str], FeatureCounts]:
        """Counts per (row code, feature) of one day."""
        tasks = [task for file in partition.files for task in _row_groups(file)]
        stripes = max(1, min(_STRIPES, partition.row_count // _ROWS_PER_STRIPE, len(tasks)))
        with ThreadPoolExecutor(min(self._settings.compute.threads, stripes)) as pool:
            shares = pool.map(lambda first: self._count_tasks(tasks[first::stripes], features), range(stripes))
        total: dict[tuple[int, str], FeatureCounts] = {}
        for share in shares:
            for key, counts in share.items():
                total[key] = total[key] + counts if key in total else counts
        return total

    def _count_tasks(
        self, tasks: Sequence[_Task], features: Mapping[int, Sequence[str]]
    ) -> dict[tuple[int, str], FeatureCounts]:
        accumulators: dict[tuple[int, str], FeatureAccumulator] = {}
        by_file: defaultdict[str, list[_Task]] = defaultdict(list)
        for task in tasks:
            by_file[task.file.path].append(task)
        for path, tasks_of_file in by_file.items():
            present = np.unique(self._coded.codes[path]).tolist()
            needed = list(dict.fromkeys(name for code in present if code >= 0 for name in features[code]))
            if needed:
                self._count_file(tasks_of_file, needed, features, accumulators)
        return {key: accumulator.counts() for key, accumulator in accumulators.items()}

    def _count_file(
        self,
        tasks: Sequence[_Task],
        needed: Sequence[str],
        features: Mapping[int, Sequence[str]],
        accumulators: dict[tuple[int, str], FeatureAccumulator],
    ) -> None:
        struct = self._settings.telemetry.features_column
        file = tasks[0].file
        columns = {name: f"{struct}.{name}" if struct else name for name in needed}
        texts = [columns[name] for name in needed if self._is_text(file, name)]
        with open_parquet(file.path, dictionary_columns=texts) as parquet:
            for task in tasks:
                codes = self._coded.codes[file.path][task.first_row : task.first_row + task.row_count]
                order, segments = _segments(codes)
                batch = parquet.read_row_group(task.row_group, columns=list(columns.values()), use_threads=False)
                for name in needed:
                    column = pc.struct_field(batch.column(struct), name) if struct else batch.column(name)
                    self._count_column(column, name, order, segments, features, accumulators)

    def _count_column(
        self,
        column: kernel.Column,
        name: str,
        order: NDArray[np.int64] | None,
        segments: Sequence[tuple[int, slice]],
        features: Mapping[int, Sequence[str]],
        accumulators: dict[tuple[int, str], FeatureAccumulator],
    ) -> None:
        wanted = [(code, segment) for code, segment in segments if name in features[code]]
        for code, _ in wanted:
            if (code, name) not in accumulators:
                accumulators[code, name] = FeatureAccumulator(self._versions[code].features[name])
        # versions may disagree on what a feature is, so each reading of the column is made when first asked for
        numbers = cache(lambda: _ordered(kernel.float_values(column), order))
        categories = cache(lambda: kernel.encode(column))
        positions = cache(lambda: _ordered(categories()[0], order))
        for code, segment in wanted:
            if self._versions[code].features[name].grid is None:
                accumulators[code, name].add_categories(positions()[segment], categories()[1])
            else:
                accumulators[code, name].add_values(numbers()[segment])

    def _feature_columns(self, file: InputFile) -> Mapping[str, pa.DataType]:
        struct = self._settings.telemetry.features_column
        if struct is None:
            return file.columns
        kind = file.columns.get(struct)
        return {field.name: field.type for field in kind} if isinstance(kind, pa.StructType) else {}

    def _is_text(self, file: InputFile, name: str) -> bool:
        kind = self._feature_columns(file)[name]
        return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _row_groups(file: InputFile) -> list[_Task]:
    starts = np.cumsum([0, *file.row_group_sizes]).tolist()
    return [_Task(file, i, starts[i], size) for i, size in enumerate(file.row_group_sizes)]


def _ordered(values: Values, order: NDArray[np.int64] | None) -> Values:
    return values if order is None else values[order]


def _segments(codes: NDArray[np.int32]) -> tuple[NDArray[np.int64] | None, list[tuple[int, slice]]]:
    """Where each code lies once rows are taken in `order`; None if they lie together already. Rows of -1 are dropped."""
    if not len(codes):
        return None, []
    is_grouped = bool(np.all(codes[1:] >= codes[:-1]))
    order = None if is_grouped else np.argsort(codes, kind="stable")
    ordered = codes if order is None else codes[order]
    starts = np.flatnonzero(np.diff(ordered, prepend=ordered[0] - 1))
    ends = [*starts[1:].tolist(), len(ordered)]
    return order, [
        (int(ordered[start]), slice(start, end))
        for start, end in zip(starts.tolist(), ends, strict=True)
        if ordered[start] >= 0
    ]


def _objection(file: InputFile, kind: pa.DataType | None, bins: FeatureBins) -> str | None:
    if kind is None:
        return f"{file.path} has no column {bins.feature}"
    if not kernel.fits(kind, bins):
        return f"{file.path}: column {bins.feature} has type {kind}, expected {bins.kind} as in training"
    return None


def _profile_rows(keys: Sequence[PredictionGroup], counted: Mapping[tuple[int, str], FeatureCounts]) -> pa.Table:
    codes, names, bin_ids, counts = [], [], [], []
    for (code, name), feature_counts in counted.items():
        occupied = np.flatnonzero(feature_counts.bins)
        codes.append(np.full(len(occupied), code))
        names.append(np.full(len(occupied), name, dtype=object))
        bin_ids.append(occupied)
        counts.append(feature_counts.bins[occupied])
    joined = [np.concatenate(parts) if parts else np.array([], dtype=np.int64) for parts in (codes, bin_ids, counts)]
    return pa.table(
        {
            **_key_columns(keys, joined[0]),
            "feature": pa.array(np.concatenate(names) if names else [], pa.string()),
            "bin_id": pa.array(joined[1], pa.int32()),
            "row_count": pa.array(joined[2], pa.int64()),
        }
    )


def _stats_rows(
    keys: Sequence[PredictionGroup],
    counted: Mapping[tuple[int, str], FeatureCounts],
    versions: Mapping[tuple[str, str], ModelVersion],
) -> pa.Table:
    rows = []
    for (code, name), counts in counted.items():
        bins = versions[keys[code].model_id, keys[code].model_version].features[name]
        rows.append({"feature": name, **counts.stats(bins)})
    names = rows[0] if rows else {}
    codes = np.array([code for code, _ in counted], dtype=np.int64)
    return pa.table({**_key_columns(keys, codes), **{name: pa.array([row[name] for row in rows]) for name in names}})


def _key_columns(keys: Sequence[PredictionGroup], codes: NDArray[np.int64]) -> dict[str, pa.Array]:
    indices = pa.array(codes, pa.int32())

    def column(values: pa.Array) -> pa.Array:
        return values.take(indices)

    return {
        "dt": column(pa.array([key.dt for key in keys], pa.date32())),
        "model_id": column(pa.array([key.model_id for key in keys], pa.string())),
        "model_version": column(pa.array([key.model_version for key in keys], pa.string())),
        "deployment": column(pa.array([key.deployment for key in keys], pa.string())),
        "segment": column(pa.array(["all"] * len(keys), pa.string())),
    }
