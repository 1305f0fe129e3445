"""Counting a shard, which is some row groups of a day: from Parquet to additive counts.

A thread, or a worker of a cluster, counts one shard at a time. The last digits of moments and sums depend on the order
of additions. Shards therefore depend only on the day, so that every engine gets the same numbers. Not here: the
counting of one column (`driftlake.profiles.kernel`), which rows count (`driftlake.inputs.predictions`), how a day is
cut (`driftlake.profiles.plan`), and turning counts into rows (`driftlake.profiles.rows`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import chain, groupby
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from driftlake.inputs.json_features import parsed_json
from driftlake.inputs.parquet_files import open_parquet
from driftlake.inputs.parquet_sql import is_keyed, keyed_type
from driftlake.maths.arrays import Indices
from driftlake.maths.binning import FeatureBins
from driftlake.maths.encoding import Column, encode, encode_named, float_values, is_numeric, stored_bins
from driftlake.maths.segments import SegmentColumn
from driftlake.maths.value_text import has_text, is_bytes, is_text
from driftlake.profiles.class_scores import ClassScoreAccumulator
from driftlake.profiles.kernel import (
    ClassAccumulator,
    FeatureAccumulator,
    FeatureCounts,
    Grouping,
    Measured,
    ScoreAccumulator,
)
from driftlake.profiles.latencies import MetricAccumulator
from driftlake.profiles.pair_counts import Pair, PairAccumulator, bins_in_pairs
from driftlake.profiles.row_samples import SampleAccumulator, SampledRows
from driftlake.profiles.shap_sums import ImportanceAccumulator
from driftlake.profiles.value_counts import ValueAccumulator


@dataclass(frozen=True, slots=True)
class CountedVersion:
    """What to count of a model version on a day; its deployments have consecutive row codes from `first_code` on."""

    first_code: int
    deployment_count: int
    features: Mapping[str, FeatureBins]
    score_bins: FeatureBins | None
    decision_cut: float | None = None
    score_divisor: int = 1
    pairs: Sequence[Pair] = ()
    is_sampled: bool = False
    # paths of the scores of classes, by class
    class_paths: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RowGroup:
    """A row group of a file; `codes` are the row codes, shape (rows,), -1 for rows that do not count."""

    path: str
    index: int
    columns: Mapping[str, pa.DataType]
    codes: NDArray[Any]
    sampled: SampledRows = field(default_factory=SampledRows)
    # values of the columns that come from the names of the file's folders
    values: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ColumnNames:
    """What the columns are called in the files; features are fields of the struct column `features` if there is one."""

    score: str
    # by metric
    latencies: Mapping[str, str]
    predicted_class: str
    features: str | None
    # prefix of the columns of SHAP values, before the name of the feature; None if there are none
    shap: str | None = None
    high_cardinality: Sequence[str] = ()

    def of_feature(self, name: str) -> str:
        """Path of the column of a feature."""
        return f"{self.features}.{name}" if self.features else name


@dataclass(frozen=True, slots=True)
class Shard:
    """Row groups of a day and what to count in them, by deployment and by each segment column."""

    row_groups: Sequence[RowGroup]
    versions: Sequence[CountedVersion]
    segment_columns: Sequence[SegmentColumn]
    names: ColumnNames


@dataclass(frozen=True, slots=True)
class VersionCounts:
    """Counts of a version, one entry per grouping: first the whole, then each segment column.

    `profiles` are the counts other than those of features, by the table that they fill.
    """

    features: Mapping[str, Sequence[FeatureCounts]]
    profiles: Mapping[str, Sequence[Any]]

    @classmethod
    def combined(cls, parts: Sequence[VersionCounts]) -> VersionCounts:
        """Everything counted in all parts, which are of the same version and day."""
        first = parts[0]
        if len(parts) == 1:
            return first
        return cls(
            {name: _combined([part.features[name] for part in parts]) for name in first.features},
            {table: _combined([part.profiles[table] for part in parts]) for table in first.profiles},
        )


def count_shard(shard: Shard) -> list[VersionCounts]:
    """Count every version of a shard."""
    accumulators = [_VersionAccumulator(version, shard) for version in shard.versions]
    for _, row_groups in groupby(shard.row_groups, key=lambda row_group: row_group.path):
        _count_file(list(row_groups), accumulators, shard)
    return [accumulator.counts() for accumulator in accumulators]


def _combined(parts: Sequence[Sequence[Any]]) -> list[Any]:
    """Grouping by grouping."""
    return [type(of_grouping[0]).combined(of_grouping) for of_grouping in zip(*parts, strict=True)]


def _count_file(row_groups: Sequence[RowGroup], accumulators: Sequence[_VersionAccumulator], shard: Shard) -> None:
    columns = row_groups[0].columns
    counted = dict.fromkeys(name for accumulator in accumulators for name in accumulator.version.features)
    # columns that the file lacks belong to versions that have no rows in it
    features = [name for name in counted if _type_of(columns, shard.names.of_feature(name)) is not None]
    needed = [shard.names.of_feature(name) for name in features]
    of_profiles = chain.from_iterable(part.paths for accumulator in accumulators for part in accumulator.parts.values())
    needed += [path for path in of_profiles if (kind := _type_of(columns, path)) and is_numeric(kind)]
    of_classes = chain.from_iterable(accumulator.version.class_paths.values() for accumulator in accumulators)
    needed += [path for path in of_classes if (kind := _type_of(columns, path)) and (is_numeric(kind) or is_text(kind))]
    categories = [shard.names.predicted_class, *(column.name for column in shard.segment_columns)]
    many_valued = shard.names.high_cardinality
    needed += [path for path in (*categories, *many_valued) if (kind := _type_of(columns, path)) and has_text(kind)]
    texts = [*(shard.names.of_feature(name) for name in features), *categories, *many_valued]
    with open_parquet(row_groups[0].path, dictionary_columns=_text_columns(row_groups[0], texts)) as parquet:
        for row_group in row_groups:
            if (row_group.codes >= 0).any():
                reader = _Reader(parquet, row_group, list(dict.fromkeys(needed)))
                _count_row_group(reader, features, accumulators, shard)


def _count_row_group(
    reader: _Reader, features: Sequence[str], accumulators: Sequence[_VersionAccumulator], shard: Shard
) -> None:
    whole = Grouping.of(reader.row_group.codes)
    segments = [
        whole.ordered(column.positions(reader.column(column.name), len(reader.row_group.codes)))
        for column in shard.segment_columns
    ]
    blocks = list(_blocks(whole, segments, accumulators))
    samples = list(_samples(reader.row_group, accumulators))
    for name in features:
        column = reader.column(shard.names.of_feature(name))
        assert column is not None, "a feature that a file lacks is refused before"
        _count_feature(name, column, whole, blocks)
        for sample in samples:
            sample.add_feature(name, column)
    for sample in samples:
        sample.accumulator.sample.add_values(sample.deployments, sample.rows.hashes, sample.bins)
    numbers = cache(lambda path: whole.ordered(reader.numbers(path)))
    for block in blocks:
        for part in block.accumulator.parts.values():
            part.accumulator.add_values(*(numbers(path)[block.rows] for path in part.paths), groupings=block.groupings)
        _count_pairs(block, reader, whole, shard.names)
    for path in shard.names.high_cardinality:
        if (column := reader.column(path)) is not None:
            _count_values(path, column, whole, blocks)
    # a file without classes says nothing about them
    classes = None
    if (column := reader.column(shard.names.predicted_class)) is not None:
        positions, names = encode_named(column)
        classes = whole.ordered(positions), names
        for block in blocks:
            block.accumulator.classes.add_categories(classes[0][block.rows], names, block.groupings)
    _count_class_scores(reader, whole, blocks, classes)


@dataclass(frozen=True, slots=True)
class _Block:
    """The rows of one version in a row group, deployment by deployment."""

    accumulator: _VersionAccumulator
    rows: slice
    groupings: Sequence[Grouping]


def _blocks(
    whole: Grouping, segments: Sequence[NDArray[np.int64]], accumulators: Sequence[_VersionAccumulator]
) -> Iterator[_Block]:
    for accumulator in accumulators:
        version = accumulator.version
        first, last = np.searchsorted(whole.groups, [version.first_code, version.first_code + version.deployment_count])
        if first == last:
            continue
        starts = np.append(whole.starts, whole.row_count)[first : last + 1]
        rows = slice(int(starts[0]), int(starts[-1]))
        deployments = whole.groups[first:last] - version.first_code
        by_deployment = Grouping(deployments, starts[:-1] - starts[0], rows.stop - rows.start)
        of_row = np.repeat(deployments, np.diff(starts))
        by_segment = (
            Grouping.of(of_row * count + positions[rows])
            for positions, count in zip(segments, accumulator.segment_counts, strict=True)
        )
        yield _Block(accumulator, rows, [by_deployment, *by_segment])


def _count_feature(name: str, column: Column, whole: Grouping, blocks: Sequence[_Block]) -> None:
    # a feature may be a number for one version and a category for another, so each form of the column is made on first
    # use
    numbers = cache(lambda: whole.ordered(float_values(column)))
    measured = cache(lambda: Measured.of(numbers(), whole, _unless_all(np.isfinite(numbers()))))
    categories = cache(lambda: encode(column))
    positions = cache(lambda: whole.ordered(categories()[0]))
    for block in blocks:
        if counted := block.accumulator.features.get(name):
            if block.accumulator.version.features[name].grid is None:
                counted.add_categories(positions()[block.rows], categories()[1], block.groupings)
            else:
                version = block.accumulator.version
                of_block = measured().between(version.first_code, version.first_code + version.deployment_count)
                counted.add_values(numbers()[block.rows], block.groupings, of_block)


def _unless_all(is_finite: NDArray[np.bool_]) -> NDArray[np.bool_] | None:
    return None if is_finite.all() else is_finite


@dataclass(frozen=True, slots=True)
class _BlockSample:
    """The sampled rows of one version in a row group, whose bins are collected feature by feature."""

    accumulator: _VersionAccumulator
    rows: SampledRows
    deployments: NDArray[np.int64]
    bins: dict[str, NDArray[np.int32]] = field(default_factory=dict)

    def add_feature(self, name: str, column: Column) -> None:
        if bins := self.accumulator.version.features.get(name):
            self.bins[name] = stored_bins(bins, column.take(pa.array(self.rows.positions)))


def _samples(row_group: RowGroup, accumulators: Sequence[_VersionAccumulator]) -> Iterator[_BlockSample]:
    sampled = row_group.sampled
    codes = row_group.codes[sampled.positions].astype(np.int64)
    for accumulator in accumulators:
        deployments = codes - accumulator.version.first_code
        is_own = (deployments >= 0) & (deployments < accumulator.version.deployment_count)
        if accumulator.version.is_sampled and is_own.any():
            rows = SampledRows(sampled.positions[is_own], sampled.hashes[is_own])
            yield _BlockSample(accumulator, rows, deployments[is_own])


def _count_pairs(block: _Block, reader: _Reader, whole: Grouping, names: ColumnNames) -> None:
    counted = block.accumulator.pairs
    bins = []
    for name in counted.features:
        column = reader.column(names.of_feature(name))
        assert column is not None, "a feature that a file lacks is refused before"
        bins.append(whole.ordered(bins_in_pairs(block.accumulator.version.features[name], column))[block.rows])
    counted.add_values(*bins, groupings=block.groupings)


def _count_class_scores(
    reader: _Reader, whole: Grouping, blocks: Sequence[_Block], classes: tuple[Indices, Sequence[str | None]] | None
) -> None:
    """Count the scores of all classes; `classes` are the predicted ones of the ordered rows, as `encode_named` gives them."""
    counted = [
        (block, scores, scores.places(classes[0][block.rows], classes[1]) if classes else None)
        for block in blocks
        if (scores := block.accumulator.class_scores) is not None
    ]
    paths = dict.fromkeys(path for block, *_ in counted for path in block.accumulator.version.class_paths.values())
    # class by class, because the scores of all classes at once would be as large as all features
    for path in paths:
        if (column := reader.column(path)) is None:
            continue
        values = whole.ordered(float_values(column))
        for block, scores, predicted in counted:
            scores.add_values(path, values[block.rows], predicted, block.groupings[0])


def _count_values(path: str, column: Column, whole: Grouping, blocks: Sequence[_Block]) -> None:
    positions, names = encode(column)
    positions = whole.ordered(positions)
    for block in blocks:
        block.accumulator.values.add_values(path, positions[block.rows], names, block.groupings)


@dataclass(frozen=True, slots=True)
class _Part:
    """An accumulator of a profile, and the numeric columns that it needs."""

    paths: Sequence[str]
    accumulator: Any


class _VersionAccumulator:
    """Everything counted of a version."""

    def __init__(self, version: CountedVersion, shard: Shard) -> None:
        self.version = version
        self.segment_counts = [len(column.segments) for column in shard.segment_columns]
        group_counts = [version.deployment_count * count for count in (1, *self.segment_counts)]
        self.features = {name: FeatureAccumulator(bins, group_counts) for name, bins in version.features.items()}
        names = shard.names
        # by the table that is filled
        scores = ScoreAccumulator(version.score_bins, group_counts, version.decision_cut, divisor=version.score_divisor)
        self.parts = {
            "prediction_profile": _Part([names.score], scores),
            "service_profile": _Part(
                list(names.latencies.values()), MetricAccumulator(list(names.latencies), len(group_counts))
            ),
        }
        if names.shap is not None:
            explained = ImportanceAccumulator(list(version.features), group_counts)
            self.parts["importance_profile"] = _Part([names.shap + name for name in version.features], explained)

        self.pairs = PairAccumulator(version.pairs, len(group_counts))
        self.values = ValueAccumulator(len(group_counts))
        self.classes = ClassAccumulator(len(group_counts))
        self.class_scores = None
        if version.class_paths:
            self.class_scores = ClassScoreAccumulator(version.class_paths, group_counts, divisor=version.score_divisor)
        self.sample = SampleAccumulator(version.features, len(group_counts))

    def counts(self) -> VersionCounts:
        features = {name: accumulator.counts() for name, accumulator in self.features.items()}
        profiles = {table: part.accumulator.counts() for table, part in self.parts.items()}
        further = {
            "pair_profile": self.pairs.counts(),
            "value_counts": self.values.counts(),
            "class_profile": self.classes.counts(),
            "prediction_sample": self.sample.counts(),
        }
        if self.class_scores is not None:
            further["class_score_profile"] = self.class_scores.counts()
        return VersionCounts(features, profiles | further)


class _Reader:
    """The columns of a row group. From a disk they are read one by one, so that each stays in the cache; from S3 all at once."""

    def __init__(self, parquet: pq.ParquetFile, row_group: RowGroup, needed: Sequence[str]) -> None:
        self.row_group = row_group
        self._parquet = parquet
        self._needed = needed
        self._keyed = {name for name, kind in row_group.columns.items() if is_keyed(kind)}
        self._whole: pa.Table | None = None
        self._parsed: pa.Table | None = None
        is_far = "://" in row_group.path
        self._table = self._read(needed) if is_far else None

    def column(self, path: str) -> Column | None:
        """A column, or a field of a struct column by its path; None if the file has no such column."""
        if path not in self._needed:
            return None
        if path in self.row_group.values:
            value = pa.scalar(self.row_group.values[path], pa.string())
            return pa.chunked_array([pa.repeat(value, len(self.row_group.codes))])
        table = self._read([path]) if self._table is None else self._table
        if path in table.column_names:
            return table.column(path)
        struct, field = path.split(".", 1)
        if struct in self._keyed:
            return self._by_name(table.column(struct), struct, field)
        return pc.struct_field(table.column(struct), field)

    def numbers(self, path: str) -> NDArray[np.float64]:
        """A numeric column, nan where it is null or missing."""
        column = self.column(path)
        return np.full(len(self.row_group.codes), np.nan) if column is None else float_values(column)

    def _by_name(self, column: pa.ChunkedArray, whole: str, name: str) -> Column:
        """The values of a key in a MAP or JSON column."""
        if pa.types.is_map(column.type):
            return pc.map_lookup(column, pa.scalar(name, column.type.key_type), "first")
        if self._parsed is None:
            names = [path.removeprefix(f"{whole}.") for path in self._needed if path.startswith(f"{whole}.")]
            self._parsed = parsed_json(column, names)
        return self._parsed.column(name)

    def _read(self, paths: Sequence[str]) -> pa.Table:
        paths = [path for path in paths if path not in self.row_group.values]
        stored = list(dict.fromkeys(self._stored(path) for path in paths))
        if len(paths) > 1 or stored == paths:
            return self._read_stored(stored)
        # parsed once for all features in it
        if self._whole is None:
            self._whole = self._read_stored(stored)
        return self._whole

    def _stored(self, path: str) -> str:
        """The column to read for a path: a field of a struct can be read alone, a key of a MAP or of JSON only with its column."""
        whole = path.partition(".")[0]
        return whole if path not in self.row_group.columns and whole in self._keyed else path

    def _read_stored(self, paths: Sequence[str]) -> pa.Table:
        return self._parquet.read_row_group(self.row_group.index, columns=list(paths), use_threads=False)


def _text_columns(row_group: RowGroup, paths: Sequence[str]) -> list[str]:
    columns = row_group.columns
    own = [path for path in paths if path not in row_group.values]
    stored = [path for path in own if path in columns or not is_keyed(columns.get(path.partition(".")[0]))]
    return [path for path in stored if (kind := _type_of(columns, path)) and (is_text(kind) or is_bytes(kind))]


def _type_of(columns: Mapping[str, pa.DataType], path: str) -> pa.DataType | None:
    if path in columns:
        return columns[path]
    struct, _, field = path.partition(".")
    kind = columns.get(struct)
    if kind is not None and path != struct and is_keyed(kind):
        return keyed_type(kind)
    if kind is None or not pa.types.is_struct(kind) or kind.get_field_index(field) < 0:
        return None
    return kind.field(field).type
