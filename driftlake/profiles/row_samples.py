"""A sample of fixed size of the predictions of a day: rows of prediction_sample.

It consists of the rows with the smallest hashes, so it does not depend on the order of the rows. The sample of two days
consists of the smallest hashes of their two samples. Not here: how a window is compared
(`driftlake.drift.multivariate`), and the sample of the training data (`driftlake.training.reference_sample`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from driftlake.inputs.partitions import Partition
from driftlake.lake import queries
from driftlake.maths.arrays import Indices
from driftlake.maths.binning import FeatureBins

Hashes = NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class SampledRows:
    """The sampled rows of a file or row group: their positions, ascending, and their hashes, shape (rows,)."""

    positions: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    hashes: Hashes = field(default_factory=lambda: np.empty(0, np.uint64))

    def between(self, start: int, end: int) -> SampledRows:
        """The sampled rows from `start` to `end` - 1, with positions counted from `start`."""
        first, last = np.searchsorted(self.positions, [start, end])
        return SampledRows(self.positions[first:last] - start, self.hashes[first:last])


def sample_predictions(
    connection: duckdb.DuckDBPyConnection, partitions: Sequence[Partition], sample_rows: int
) -> Mapping[str, SampledRows]:
    """The sample, by file, of every group of predictions that `predictions.code_rows` leaves in the session."""
    paths = [file.path for partition in partitions for file in partition.files]
    return sampled_of_files(connection, dict(zip(paths, range(len(paths)), strict=True)), sample_rows)


def sampled_of_files(
    connection: duckdb.DuckDBPyConnection, file_ids: Mapping[str, int], sample_rows: int
) -> Mapping[str, SampledRows]:
    """The sample by file; `file_ids` are the positions of the files among all."""
    found = queries.table(connection, "profiles/sampled_predictions", sample_rows=sample_rows)
    ids, positions, hashes = (found[name].to_numpy() for name in ("file_id", "file_row_number", "row_hash"))
    edges = {path: np.searchsorted(ids, [file_id, file_id + 1]) for path, file_id in file_ids.items()}
    return {path: SampledRows(positions[first:last], hashes[first:last]) for path, (first, last) in edges.items()}


def smallest(hashes: Hashes, sample_rows: int) -> NDArray[np.int64]:
    """Positions of the `sample_rows` smallest hashes, ascending by hash; of equal hashes, the first ones."""
    return np.argsort(hashes, kind="stable")[:sample_rows]


def lists_of(bins: Indices) -> pa.Array:
    """Rows of bins, shape (rows, features), as an Arrow column of lists."""
    rows, width = bins.shape
    offsets = pa.array(np.arange(rows + 1, dtype=np.int32) * np.int32(width))
    return pa.ListArray.from_arrays(offsets, pa.array(np.ascontiguousarray(bins, np.int32).ravel()))


@dataclass(frozen=True, slots=True)
class Sample:
    """Sampled rows: group and hash, shape (rows,), and bins, shape (rows, features)."""

    groups: NDArray[np.int64]
    hashes: Hashes
    bins: Indices

    @classmethod
    def combined(cls, parts: Sequence[Sample]) -> Sample:
        """The rows of all parts, in an order that depends only on the rows."""
        filled = [part for part in parts if len(part.hashes)]
        # costs nothing if nothing is sampled
        if not filled:
            return parts[0]
        groups, hashes, bins = (np.concatenate([getattr(part, name) for part in filled]) for name in cls.__slots__)
        order = np.lexsort((*bins.T[::-1], hashes, groups))
        return cls(groups[order], hashes[order], bins[order])

    def smallest(self, sample_rows: int) -> Sample:
        """The rows of each group with the smallest hashes; rows are in the order of `combined`."""
        starts = np.searchsorted(self.groups, self.groups)
        kept = np.arange(len(self.groups)) - starts < sample_rows
        return Sample(self.groups[kept], self.hashes[kept], self.bins[kept])

    def columns(self) -> dict[str, Any]:
        """Columns of prediction_sample, each of shape (rows,)."""
        return {"group": self.groups, "row_hash": self.hashes, "bins": lists_of(self.bins)}


class SampleAccumulator:
    """Collects the sampled rows of a version; segments have no samples of their own."""

    def __init__(self, features: Mapping[str, FeatureBins], grouping_count: int) -> None:
        nothing = np.empty((0, len(features)), np.int32)
        self._features = features
        self._empty = Sample(np.empty(0, np.int64), np.empty(0, np.uint64), nothing)
        self._parts = [self._empty]
        self._grouping_count = grouping_count

    def add_values(self, groups: NDArray[np.int64], hashes: Hashes, bins: Mapping[str, Indices]) -> None:
        """Add rows: for each feature an array of shape (rows,)."""
        in_order = np.stack([bins[name] for name in self._features], axis=1)
        self._parts.append(Sample(groups, hashes, in_order))

    def counts(self) -> list[Sample]:
        """Everything collected so far, per grouping."""
        return [Sample.combined(self._parts), *[self._empty] * (self._grouping_count - 1)]
