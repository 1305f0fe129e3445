"""Pairs of features counted together: rows of pair_profile and reference_pair_profile.

In pairs, categories have their stored bins and numbers their coarse bins. Not here: which combinations are reported
(`driftlake.drift.combinations`), and reading columns (`driftlake.profiles.shards`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from driftlake.maths.arrays import Counts, Indices
from driftlake.maths.binning import FIRST_RANGE, FeatureBins
from driftlake.maths.encoding import Column, stored_bins
from driftlake.profiles.kernel import Grouping

Pair: TypeAlias = tuple[str, str]

# A power of two above the number of bins of any feature in a pair, so that one number can hold both bins.
_WIDTH = 1 << 10


def bins_in_pairs(bins: FeatureBins, column: Column) -> Indices:
    """Bin of each row as used in pairs, shape (rows,)."""
    stored = stored_bins(bins, column)
    return stored if bins.grid is None else bins.coarse_ids[stored]


def labels_in_pairs(bins: FeatureBins) -> list[str]:
    """The names of the bins of a feature as used in pairs."""
    if bins.grid is None:
        return list(bins.labels)
    ranges = bins.coarse_ids[FIRST_RANGE:]
    starts = np.flatnonzero(np.diff(ranges, prepend=-1))
    borders = [f"{border:.6g}" for border in (*bins.borders[starts], bins.borders[-1])]
    return [*bins.labels[:FIRST_RANGE], *(f"{low} to {high}" for low, high in pairwise(borders))]


@dataclass(frozen=True, slots=True)
class PairCounts:
    """Rows per group, pair and combination of bins, each of shape (combinations,), ascending, only for combinations that have rows."""

    pairs: Sequence[Pair]
    keys: NDArray[np.int64]
    rows: Counts

    @classmethod
    def of(cls, pairs: Sequence[Pair], keys: Sequence[NDArray[np.int64]], rows: Sequence[Counts]) -> PairCounts:
        """Combine counts of several pieces."""
        nothing = np.empty(0, np.int64)
        distinct, places = np.unique(np.concatenate([nothing, *keys]), return_inverse=True)
        summed = np.bincount(places, np.concatenate([nothing, *rows]), len(distinct))
        return cls(pairs, distinct, summed.astype(np.int64))

    @classmethod
    def combined(cls, parts: Sequence[PairCounts]) -> PairCounts:
        """Everything counted in all parts."""
        return cls.of(parts[0].pairs, [part.keys for part in parts], [part.rows for part in parts])

    def columns(self) -> dict[str, Any]:
        """Columns of pair_profile, each of shape (combinations,)."""
        others, combination = np.divmod(self.keys, _WIDTH * _WIDTH)
        groups, places = np.divmod(others, max(len(self.pairs), 1))
        first, second = (pa.array([pair[side] for pair in self.pairs], pa.string()) for side in (0, 1))
        return {
            "group": groups,
            "feature_a": first.take(pa.array(places)),
            "feature_b": second.take(pa.array(places)),
            "bin_a": combination // _WIDTH,
            "bin_b": combination % _WIDTH,
            "row_count": self.rows,
        }


class PairAccumulator:
    """Counts the combinations of the bins of pairs of features."""

    def __init__(self, pairs: Sequence[Pair], grouping_count: int) -> None:
        self.features = list(dict.fromkeys(feature for pair in pairs for feature in pair))
        self._pairs = pairs
        self._keys: list[list[NDArray[np.int64]]] = [[] for _ in range(grouping_count)]
        self._rows: list[list[Counts]] = [[] for _ in range(grouping_count)]

    def add_values(self, *bins: Indices, groupings: Sequence[Grouping]) -> None:
        """Count rows by their bins, for each of `features` an array of shape (rows,)."""
        bins_of = dict(zip(self.features, bins, strict=True))
        for place, (first, second) in enumerate(self._pairs):
            combination = bins_of[first] * np.int64(_WIDTH) + bins_of[second]
            for keys, rows, grouping in zip(self._keys, self._rows, groupings, strict=True):
                groups = np.repeat(grouping.groups, grouping.sizes)
                first_key = (groups * len(self._pairs) + place) * (_WIDTH * _WIDTH)
                distinct, counts = np.unique(first_key + grouping.ordered(combination), return_counts=True)
                keys.append(distinct)
                rows.append(counts)

    def counts(self) -> list[PairCounts]:
        """Everything counted so far, per grouping."""
        return [PairCounts.of(self._pairs, keys, rows) for keys, rows in zip(self._keys, self._rows, strict=True)]
