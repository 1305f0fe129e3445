"""SHAP values of predictions as sums per feature: rows of importance_profile.

Not here: which columns they are in (`driftlake.profiles.shards`), and comparing the sums
(`driftlake.drift.importance`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from driftlake.maths.arrays import Counts, Floats
from driftlake.profiles.kernel import Grouping


@dataclass(frozen=True, slots=True)
class ImportanceCounts:
    """Explained predictions per group and feature and the sums of their SHAP values, each of shape (groups, features)."""

    features: Sequence[str]
    rows: Counts
    absolute_sums: Floats
    signed_sums: Floats

    def __add__(self, other: ImportanceCounts) -> ImportanceCounts:
        return ImportanceCounts(
            self.features,
            self.rows + other.rows,
            self.absolute_sums + other.absolute_sums,
            self.signed_sums + other.signed_sums,
        )

    @classmethod
    def empty(cls, features: Sequence[str], group_count: int) -> ImportanceCounts:
        """Nothing counted yet."""
        shape = group_count, len(features)
        return cls(features, np.zeros(shape, np.int64), np.zeros(shape), np.zeros(shape))

    @classmethod
    def combined(cls, parts: Sequence[ImportanceCounts]) -> ImportanceCounts:
        """Everything counted in all parts, added in their order, because the last digits of sums depend on it."""
        return reduce(add, parts)

    def columns(self) -> dict[str, Any]:
        """Columns of importance_profile, each of shape (pairs of group and feature that have rows,)."""
        groups, places = pairs = np.nonzero(self.rows)
        return {
            "group": groups,
            "feature": pa.array(self.features, pa.string()).take(pa.array(places)),
            "row_count": self.rows[pairs],
            "absolute_sum": self.absolute_sums[pairs],
            "signed_sum": self.signed_sums[pairs],
        }


class ImportanceAccumulator:
    """Sums the SHAP values of each feature; values that are not finite are left out."""

    def __init__(self, features: Sequence[str], group_counts: Sequence[int]) -> None:
        self._totals = [ImportanceCounts.empty(features, count) for count in group_counts]

    def add_values(self, *values: Floats, groupings: Sequence[Grouping]) -> None:
        """Count SHAP values, for each feature an array of shape (rows,), nan where a prediction is not explained."""
        for place, of_feature in enumerate(values):
            is_finite = np.isfinite(of_feature)
            if is_finite.any():
                for total, grouping in zip(self._totals, groupings, strict=True):
                    _add(total, place, grouping, grouping.ordered(np.where(is_finite, of_feature, 0.0)), is_finite)

    def counts(self) -> list[ImportanceCounts]:
        """Everything counted so far, per grouping."""
        return list(self._totals)


def _add(total: ImportanceCounts, place: int, grouping: Grouping, values: Floats, is_finite: NDArray[np.bool_]) -> None:
    groups = np.repeat(grouping.groups, grouping.sizes)
    count = len(total.rows)
    total.rows[:, place] += np.bincount(groups[grouping.ordered(is_finite)], minlength=count)
    total.absolute_sums[:, place] += np.bincount(groups, np.abs(values), count)
    total.signed_sums[:, place] += np.bincount(groups, values, count)
