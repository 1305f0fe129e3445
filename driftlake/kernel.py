"""The profile kernel: Arrow columns in, counts per bin and moments out.

The same code counts training data, production row groups and, on a cluster, whatever a worker is given; counts add
up, so the pieces may be cut anywhere. Not here: which rows count and what they belong to (telemetry.py), and where the
row groups come from (profiling.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pat

from driftlake import binning
from driftlake.arrays import Counts, Floats, Indices
from driftlake.binning import ABOVE, BELOW, FIRST_RANGE, MISSING, UNSEEN, FeatureBins

PERCENTILES = (1, 5, 25, 50, 75, 95, 99)

Column: TypeAlias = "pa.Array | pa.ChunkedArray"


@dataclass(frozen=True, slots=True)
class Moments:
    """Count, mean, sum of squared deviations from the mean, minimum and maximum of finite values."""

    count: int = 0
    mean: float = 0.0
    squared_deviations: float = 0.0
    minimum: float = np.inf
    maximum: float = -np.inf

    @classmethod
    def of(cls, values: Floats) -> Moments:
        """Moments of finite values, shape (n,)."""
        if not len(values):
            return cls()
        # numpy, not BLAS: its threads would fight with ours
        with np.errstate(over="ignore"):
            mean = float(values.mean())
            deviations = values - mean
            squared_deviations = float(np.square(deviations, out=deviations).sum())
        return cls(len(values), mean, squared_deviations, float(values.min()), float(values.max()))

    def __add__(self, other: Moments) -> Moments:
        """Moments of both samples together (Chan, Golub and LeVeque 1983)."""
        count = self.count + other.count
        if not self.count or not other.count:
            return self if self.count else other
        shift = other.mean - self.mean
        return Moments(
            count,
            self.mean + shift * other.count / count,
            self.squared_deviations + other.squared_deviations + shift * shift * self.count * other.count / count,
            min(self.minimum, other.minimum),
            max(self.maximum, other.maximum),
        )


@dataclass(frozen=True, slots=True)
class FeatureCounts:
    """What is kept of a feature: `bins` has shape (bin_count,)."""

    bins: Counts
    moments: Moments

    def __add__(self, other: FeatureCounts) -> FeatureCounts:
        return FeatureCounts(self.bins + other.bins, self.moments + other.moments)

    def stats(self, bins: FeatureBins) -> dict[str, Any]:
        """Statistics as the columns of feature_stats and reference_stats."""
        moments = self.moments
        is_measured = moments.count > 0
        return {
            "row_count": int(self.bins.sum()),
            "missing_count": int(self.bins[MISSING]),
            "mean": moments.mean if is_measured else None,
            "standard_deviation": float(np.sqrt(moments.squared_deviations / moments.count)) if is_measured else None,
            "minimum": moments.minimum if is_measured else None,
            "maximum": moments.maximum if is_measured else None,
            **dict(zip((f"p{q:02d}" for q in PERCENTILES), self._percentiles(bins), strict=True)),
        }

    def _percentiles(self, bins: FeatureBins) -> list[float | None]:
        """Interpolated inside the bin that holds the rank; values off the grid lie at the minimum or maximum."""
        ranges = self.bins[FIRST_RANGE:]
        if bins.grid is None or not self.moments.count:
            return [None] * len(PERCENTILES)
        cumulative = np.cumsum([self.bins[BELOW], *ranges, self.bins[ABOVE]])
        upper = np.array([*bins.borders, self.moments.maximum])
        ranks = np.array(PERCENTILES) / 100 * cumulative[-1]
        values = np.interp(ranks, cumulative, upper)
        values = np.where(ranks < self.bins[BELOW], self.moments.minimum, values)
        values = np.where(ranks > cumulative[-1] - self.bins[ABOVE], self.moments.maximum, values)
        return [float(value) for value in np.clip(values, self.moments.minimum, self.moments.maximum)]


class FeatureAccumulator:
    """Counts one feature of one row code over many row groups."""

    def __init__(self, bins: FeatureBins) -> None:
        self._bins = bins
        self._histogram = bins.grid.histogram() if bins.grid else None
        self._category_counts = no_counts(bins.bin_count)
        self._missing_count = 0
        self._moments = Moments()

    def add_values(self, values: Floats) -> None:
        """Count float values, shape (n,), nan being missing."""
        with np.errstate(over="ignore", invalid="ignore"):
            total = float(values.sum())
        finite = values
        if not np.isfinite(total):
            finite = values[np.isfinite(values)]
            missing = np.isnan(values)
            self._missing_count += int(missing.sum())
            values = values[~missing]
        if self._histogram is not None and self._bins.grid is not None and len(values):
            self._histogram.fill(self._bins.grid.prepared(values))
        self._moments += Moments.of(finite)

    def add_categories(self, positions: Indices, names: Sequence[str | None]) -> None:
        """Count rows of an encoded column, shape (n,), positions and names as `encode` gives them."""
        per_position = np.bincount(positions, minlength=len(names) + 1)
        seen = np.flatnonzero(per_position)
        known = self._bins.categories or {}
        texts = (names[position] if position < len(names) else None for position in seen.tolist())
        bin_ids = [MISSING if text is None else known.get(text, UNSEEN) for text in texts]
        np.add.at(self._category_counts, bin_ids, per_position[seen])

    def counts(self) -> FeatureCounts:
        """Everything counted so far."""
        if self._histogram is None:
            return FeatureCounts(self._category_counts.copy(), Moments())
        cells: Counts = self._histogram.view(flow=True).astype(np.int64)
        ranges = self._bins.bin_counts(cells[1:-1])
        return FeatureCounts(np.concatenate([[self._missing_count, cells[0], cells[-1]], ranges]), self._moments)


def no_counts(bin_count: int) -> Counts:
    """Zero rows in every bin."""
    return np.zeros(bin_count, dtype=np.int64)


def count_column(column: Column, bins: FeatureBins) -> FeatureCounts:
    """Count a whole column."""
    accumulator = FeatureAccumulator(bins)
    if bins.grid is None:
        accumulator.add_categories(*encode(column))
    else:
        accumulator.add_values(float_values(column))
    return accumulator.counts()


def is_numeric(kind: pa.DataType) -> bool:
    """Whether columns of this Arrow type can be counted as numbers."""
    return bool(pat.is_integer(kind) or pat.is_floating(kind) or pat.is_decimal(kind))


def is_category(kind: pa.DataType) -> bool:
    """Whether columns of this Arrow type can be counted as categories."""
    if pat.is_dictionary(kind):
        kind = kind.value_type
    is_text = pat.is_string(kind) or pat.is_large_string(kind) or pat.is_string_view(kind)
    return bool(is_text or pat.is_boolean(kind) or is_numeric(kind))


def fits(kind: pa.DataType, bins: FeatureBins) -> bool:
    """Whether a production column of this Arrow type can be counted into `bins`."""
    return is_numeric(kind) or bool(pat.is_boolean(kind)) if bins.grid else is_category(kind)


def float_values(column: Column) -> Floats:
    """A numeric column as float64, null as nan; without a copy where Arrow already stores that."""
    if not pat.is_floating(column.type) and not pat.is_integer(column.type):
        column = column.cast(pa.float64())
    values: Floats = column.to_numpy(zero_copy_only=False) if isinstance(column, pa.Array) else column.to_numpy()
    return values.astype(np.float64, copy=False)


def learnable_values(column: Column) -> Floats:
    """The values of a numeric column from which bins can be learned."""
    return binning.learnable(float_values(column))


def category_counts(column: Column) -> dict[str, int]:
    """Rows per category, missing ones left out."""
    positions, names = encode(column)
    totals: Counter[str] = Counter()
    for name, count in zip(names, np.bincount(positions, minlength=len(names) + 1).tolist(), strict=False):
        if name is not None and count:
            totals[name] += count
    return totals


def encode(column: Column) -> tuple[Indices, list[str | None]]:
    """Positions of the rows of a column among its categories, shape (rows,), and the text of each category.

    Rows that are null have the position after the last; categories that are none (nan) have the text None.
    """
    if isinstance(column, pa.ChunkedArray):
        column = column.unify_dictionaries().combine_chunks()
    encoded = column if pat.is_dictionary(column.type) else column.dictionary_encode()
    # whatever index type the file had, there is room for the position that stands for null
    indices = encoded.indices.cast(pa.int32())
    if indices.null_count:
        indices = indices.fill_null(len(encoded.dictionary))
    positions: Indices = indices.to_numpy(zero_copy_only=False)
    return positions, category_text(encoded.dictionary)


def category_text(values: pa.Array) -> list[str | None]:
    """Categories as text; whole numbers read the same whether stored as integers or, because of nulls, as floats."""
    if pat.is_floating(values.type):
        values = pc.if_else(pc.is_nan(values), pa.scalar(None, values.type), values)
        numbers = values.to_pylist()
        if all(number is None or float(number).is_integer() for number in numbers):
            return [None if number is None else str(int(number)) for number in numbers]
    text: list[str | None] = values.cast(pa.string()).to_pylist()
    return text
