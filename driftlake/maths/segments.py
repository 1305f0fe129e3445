"""Segments: the values of a configured column, each counted separately in addition to the whole.

Not here: counting (`driftlake.profiles.kernel`), and how much of the whole shift a segment explains
(`driftlake.drift.comparison`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from driftlake.maths.encoding import Column, counts_of_names, encode_named

# The segment that every row is in.
ALL = "all"


@dataclass(frozen=True, slots=True)
class SegmentColumn:
    """A column of segments. Each of `values` is a segment, all other values are one together, and so are missing values."""

    name: str
    values: tuple[str, ...]

    @classmethod
    def most_frequent(cls, name: str, column: Column, limit: int) -> SegmentColumn:
        """The `limit` most frequent values of a column."""
        counted = sorted(counts_of_names(*encode_named(column)).items(), key=lambda pair: (-pair[1], pair[0]))
        return cls(name, tuple(sorted(value for value, _ in counted[:limit])))

    @property
    def segments(self) -> list[str]:
        """Name of each segment."""
        return [f"{self.name}={value}" for value in (*self.values, "(other)", "(missing)")]

    def positions(self, column: Column | None, row_count: int) -> NDArray[np.int64]:
        """Position of every row's segment in `segments`, shape (row_count,); without a column all are missing."""
        other, missing = len(self.values), len(self.values) + 1
        if column is None:
            return np.full(row_count, missing)
        known = {value: position for position, value in enumerate(self.values)}
        codes, names = encode_named(column)
        of_name = [missing if name is None else known.get(name, other) for name in names]
        return np.array([*of_name, missing])[codes]
