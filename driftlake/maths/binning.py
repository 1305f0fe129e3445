"""The bins of a feature, learned once from its training data and stored as the binning contract.

A numeric value falls into a *cell* of a grid by arithmetic that SQL can repeat (sql/macros/grid_cell.sql); cells are
merged into *bins*, bins into *coarse bins* along the deciles. Not here: learning the bins of numbers
(`driftlake.maths.numeric_bins`), counting rows into bins (`driftlake.profiles.kernel`) and storing
(`driftlake.training.registration`).
"""

from __future__ import annotations

import ctypes
import ctypes.util
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from itertools import pairwise
from typing import Any, Literal

import boost_histogram as bh
import numpy as np
from numpy.typing import NDArray

from driftlake.maths.arrays import Counts, Floats, Indices
from driftlake.maths.spelling import Spelling

Transform = Literal["linear", "log", "asinh", "logit", "borders"]
FeatureKind = Literal["numeric", "categorical", "score"]

# bin_id and coarse_bin_id of the bins every feature of a kind has
MISSING, BELOW, ABOVE, FIRST_RANGE = 0, 1, 2, 3
OTHER, UNSEEN, FIRST_CATEGORY = 1, 2, 3

MAX_CATEGORIES = 100
# If training has more categories than this, the rarest are not stored and count as unseen in production.
MAX_KNOWN_CATEGORIES = 100_000
# A value or category with at least this share of the training rows is not merged with others.
HEAVY_SHARE = 0.01
MAX_COARSE_BINS = 10
HEAVY_COARSE_SHARE = 0.1
MAX_COARSE_CATEGORIES = 20
# Integers with at most this many distinct training values are treated as codes rather than quantities.
MAX_INTEGER_CATEGORIES = 20


@dataclass(frozen=True, slots=True)
class Grid:
    """A grid over values: `lower` and `upper` are its ends, divided by `scale`.

    cell = floor((t(x / scale) - t(lower)) / (t(upper) - t(lower)) * cells), where t is `transform`. An irregular grid
    has the `borders` of its cells instead, shape (cells + 1,); a cell includes its lower border.
    """

    transform: Transform
    scale: float
    lower: float
    upper: float
    cells: int
    borders: tuple[float, ...] | None = None

    @classmethod
    def of_borders(cls, borders: Sequence[float]) -> Grid:
        """The grid with these borders, ascending."""
        return cls("borders", 1.0, borders[0], borders[-1], len(borders) - 1, tuple(borders))

    def histogram(self) -> Any:
        """An empty histogram of the cells, with one flow bin below and one above."""
        return bh.Histogram(self.axis(), storage=bh.storage.Int64())

    def axis(self) -> Any:
        """The cells as an axis of boost-histogram."""
        if self.borders is not None:
            return bh.axis.Variable(self.borders)
        if self.transform == "logit":
            log = bh.axis.transform.log
            return bh.axis.Regular(self.cells, _odds(self.lower), _odds(self.upper), transform=log)
        transform = {"linear": None, "log": bh.axis.transform.log, "asinh": _asinh()}[self.transform]
        return bh.axis.Regular(self.cells, self.lower, self.upper, transform=transform)

    def prepared(self, values: Floats) -> Floats:
        """Values as `axis` takes them."""
        if self.transform == "logit":
            # the odds, whose logarithm is the logit; values outside 0 to 1 count as below or above the grid
            with np.errstate(divide="ignore"):
                probabilities = np.clip(values, 0.0, 1.0)
                odds: Floats = probabilities / (1.0 - probabilities)
            return odds
        if self.transform == "log":
            # the logarithm of a negative number is nan, which would count as above
            return np.maximum(values, 0.0)
        return values / self.scale if self.scale != 1 else values

    def count(self, values: Floats) -> Counts:
        """Counts of finite values per cell, shape (cells,); values off the grid are left out."""
        counts: Counts = self.histogram().fill(self.prepared(values)).view().astype(np.int64)
        return counts

    def cells_of(self, values: Floats) -> Indices:
        """Cell of each value, shape (n,): -1 below the grid, `cells` above it and for nan."""
        found: Indices = _axis(self).index(self.prepared(values))
        return found

    def border(self, cell: int) -> float:
        """Value at the lower border of `cell`."""
        if self.borders is not None:
            return self.borders[cell]
        if cell == 0:
            return self.lower * self.scale
        forward, inverse = _FORWARD_AND_INVERSE[self.transform]
        low, high = forward(self.lower), forward(self.upper)
        return float(inverse(low + (high - low) * cell / self.cells)) * self.scale


@cache
def _axis(grid: Grid) -> Any:
    """Many small blocks of rows are counted on the same grid, and an axis takes half as long to make as to use."""
    return grid.axis()


# A probability from 0.00005 to 0.99995, in steps of 5 % of the odds: fine at 0.001 and at 0.999.
PROBABILITY_GRID = Grid("logit", 1.0, 1 / (1 + math.exp(10)), 1 / (1 + math.exp(-10)), 400)


@dataclass(frozen=True)
class FeatureBins:
    """The bins of one feature, by bin_id: position i of every sequence describes bin i."""

    feature: str
    kind: FeatureKind
    bin_kinds: tuple[str, ...]
    labels: tuple[str, ...]
    coarse_ids: Indices
    grid: Grid | None = None
    # first cell of every bin from FIRST_RANGE on
    first_cells: Indices | None = None
    # lowest and highest training value of every bin from FIRST_RANGE on, shape (range bins, 2); None if not known
    training_ends: Floats | None = None
    # every known category -> its bin
    categories: Mapping[str, int] | None = None

    @property
    def bin_count(self) -> int:
        """Number of bins, including the one for missing values."""
        return len(self.labels)

    @cached_property
    def borders(self) -> Floats:
        """Borders of the range bins, shape (number of range bins + 1,)."""
        if self.grid is None or self.first_cells is None:
            raise ValueError(f"{self.feature} has categories, not borders")
        cells = [*self.first_cells.tolist(), self.grid.cells]
        return np.array([self.grid.border(cell) for cell in cells])

    @cached_property
    def ends(self) -> Floats:
        """Assumed lowest and highest value in each range bin, shape (range bins, 2): its borders if the training values are not known."""
        if self.training_ends is not None:
            return self.training_ends
        return np.column_stack([self.borders[:-1], self.borders[1:]])

    def bin_counts(self, cell_counts: Counts) -> Counts:
        """Sum counts per cell, shape (..., cells), into counts per range bin, shape (..., range bins)."""
        if self.first_cells is None:
            raise ValueError(f"{self.feature} has categories, not cells")
        merged: Counts = np.add.reduceat(cell_counts, self.first_cells, axis=-1)
        return merged

    def bin_ids(self, values: Floats) -> Indices:
        """Bin of each value, shape (n,)."""
        if self.grid is None:
            raise ValueError(f"{self.feature} has categories, not cells")
        ids: Indices = self._bin_of_cell_or_flow[self.grid.cells_of(values) + 1]
        ids[np.isnan(values)] = MISSING
        return ids

    @cached_property
    def _bin_of_cell_or_flow(self) -> Indices:
        return np.concatenate([[BELOW], self.bin_of_cells(), [ABOVE]]).astype(np.int32)

    def bins_of_categories(self, names: Sequence[str | None]) -> Indices:
        """Bin of each category and, last, of null, shape (len(names) + 1,); a category without a name is missing too."""
        known = self.categories or {}
        ids = [MISSING if name is None else known.get(name, UNSEEN) for name in names]
        if UNSEEN in ids and self._spelling.is_flexible:
            ids = [self._bin_of_other_spelling(name) if i == UNSEEN else i for i, name in zip(ids, names, strict=True)]
        return np.array([*ids, MISSING], dtype=np.int32)

    def _bin_of_other_spelling(self, name: str | None) -> int:
        return (self.categories or {}).get(self._spelling.known(name or "") or "", UNSEEN)

    @cached_property
    def _spelling(self) -> Spelling:
        return Spelling.of(self.categories or ())

    def places_in(self, other: FeatureBins) -> Indices | None:
        """The bin of `other` that counts the same values as each of these, shape (bin_count,); None if one has none."""
        if self._counted != other._counted or sorted(self._meanings) != sorted(other._meanings):
            return None
        places = {meaning: bin_id for bin_id, meaning in enumerate(other._meanings)}
        return np.array([places[meaning] for meaning in self._meanings], dtype=np.int32)

    @property
    def _counted(self) -> Any:
        """The units that bins are made of: cells of a grid, or known categories."""
        return set(self.categories or ()) if self.grid is None else self.grid

    @cached_property
    def _meanings(self) -> list[tuple[str, str | int]]:
        """What each bin counts. Categories are ordered by how frequent they were in training, ranges by value."""
        if self.first_cells is None:
            return list(zip(self.bin_kinds, self.labels, strict=True))
        cells = [-1] * FIRST_RANGE + self.first_cells.tolist()
        return list(zip(self.bin_kinds, cells, strict=True))

    def bin_of_cells(self) -> Indices:
        """Bin of every cell of the grid, shape (cells,)."""
        if self.grid is None or self.first_cells is None:
            raise ValueError(f"{self.feature} has categories, not cells")
        sizes = np.diff(self.first_cells, append=self.grid.cells)
        return np.repeat(np.arange(FIRST_RANGE, self.bin_count, dtype=np.int32), sizes)

    def columns(self) -> dict[str, Sequence[Any]]:
        """Columns of feature_bins, without the model columns, each with a value for every bin; `from_columns` reads them."""
        count = self.bin_count
        columns: dict[str, Sequence[Any]] = {
            "feature": [self.feature] * count,
            "bin_id": range(count),
            "feature_kind": [self.kind] * count,
            "bin_kind": self.bin_kinds,
            "label": self.labels,
            "coarse_bin_id": self.coarse_ids.tolist(),
        }
        if self.grid is None or self.first_cells is None:
            named = zip(self.labels, self.bin_kinds, strict=True)
            return columns | {"category": [label if kind == "category" else None for label, kind in named]}
        for name in ("transform", "scale", "lower", "upper", "cells"):
            columns[f"grid_{name}"] = [getattr(self.grid, name)] * count
        of_ranges: dict[str, NDArray[Any]] = {
            "lower": self.borders[:-1],
            "upper": self.borders[1:],
            "cell_first": self.first_cells,
            "cell_last": np.append(self.first_cells[1:], self.grid.cells) - 1,
        }
        if self.training_ends is not None:
            of_ranges |= {"training_low": self.training_ends[:, 0], "training_high": self.training_ends[:, 1]}
        return columns | {name: [None] * FIRST_RANGE + values.tolist() for name, values in of_ranges.items()}

    @classmethod
    def from_columns(cls, columns: Mapping[str, Sequence[Any]], categories: Mapping[str, int]) -> FeatureBins:
        """Rebuild from the columns of feature_bins of one feature, in the order of bin_id, and its rows of feature_categories."""
        is_gridded = columns["grid_transform"][0] is not None
        return cls(
            feature=columns["feature"][0],
            kind=columns["feature_kind"][0],
            bin_kinds=tuple(columns["bin_kind"]),
            labels=tuple(columns["label"]),
            coarse_ids=np.array(columns["coarse_bin_id"], dtype=np.int32),
            grid=_grid_of(columns) if is_gridded else None,
            first_cells=np.array(columns["cell_first"][FIRST_RANGE:], dtype=np.int32) if is_gridded else None,
            training_ends=_training_ends_of(columns) if is_gridded else None,
            categories=None if is_gridded else dict(categories),
        )


def _grid_of(columns: Mapping[str, Sequence[Any]]) -> Grid:
    if columns["grid_transform"][0] == "borders":
        return Grid.of_borders([*columns["lower"][FIRST_RANGE:], columns["upper"][-1]])
    names = ("grid_transform", "grid_scale", "grid_lower", "grid_upper", "grid_cells")
    return Grid(*(columns[name][0] for name in names))


def _training_ends_of(columns: Mapping[str, Sequence[Any]]) -> Floats | None:
    """None for a version that was registered before these were stored."""
    low, high = (columns.get(name, [None])[FIRST_RANGE:] for name in ("training_low", "training_high"))
    if not len(low) or low[0] is None:
        return None
    return np.column_stack([np.array(low, float), np.array(high, float)])


def probability_bins(feature: str) -> FeatureBins:
    """Bins of a probability. They are fixed on the logit scale, so nothing is learned; a coarse bin is two units of log-odds wide."""
    grid = PROBABILITY_GRID
    first_cells = np.arange(grid.cells, dtype=np.int32)
    coarse = np.concatenate([[MISSING, BELOW, ABOVE], FIRST_RANGE + first_cells // 40])
    return _assemble(feature, "score", grid, first_cells, coarse.astype(np.int32))


def share_from(bins: FeatureBins, cut: float) -> Floats:
    """Share of the values of each bin that are at least `cut`, assuming that they lie evenly between its ends.

    Bins from the lowest values to the highest, below and above the training range included: shape (ranges + 2,).
    """
    low, high = bins.ends.T
    width = high - low
    with np.errstate(divide="ignore", invalid="ignore"):
        inside = np.where(width > 0, np.clip((high - cut) / width, 0, 1), low >= cut)
    return np.concatenate([[float(cut < bins.borders[0])], inside, [float(cut <= bins.borders[-1])]])


def with_coarse_bins(bins: FeatureBins, counts: Counts) -> FeatureBins:
    """The same bins with coarse bins along the deciles of `counts`, shape (bin_count,)."""
    return replace(bins, coarse_ids=_coarse_ids(counts[FIRST_RANGE:]))


def bins_of_cells(
    feature: str, kind: FeatureKind, grid: Grid, first_cells: Indices, counts: Counts, training_ends: Floats
) -> FeatureBins:
    """Bins of a number, given the first cell of each bin; `counts` are the training rows of each bin, shape (range bins,)."""
    return replace(_assemble(feature, kind, grid, first_cells, _coarse_ids(counts)), training_ends=training_ends)


def learn_category_bins(
    feature: str, categories: Sequence[str], counts: Counts, bin_limit: int | None = None
) -> FeatureBins:
    """Learn the bins of a categorical feature.

    Parameters
    ----------
    categories : the distinct training categories
    counts : training rows of each, shape (len(categories),)
    bin_limit : largest number of categories with a bin of their own, if less than MAX_CATEGORIES
    """
    limit = min(bin_limit or MAX_CATEGORIES, MAX_CATEGORIES)
    ranked = sorted(zip(categories, counts.tolist(), strict=True), key=lambda pair: (-pair[1], pair[0]))
    ranked = ranked[:MAX_KNOWN_CATEGORIES]
    named = [category for category, _ in ranked[:limit]]
    total = max(int(counts.sum()), 1)
    own_coarse = sum(1 for _, count in ranked[: min(limit, MAX_COARSE_CATEGORIES)] if count >= HEAVY_SHARE * total)
    coarse = [MISSING, OTHER, UNSEEN] + [
        FIRST_CATEGORY + rank if rank < own_coarse else OTHER for rank in range(len(named))
    ]
    return FeatureBins(
        feature=feature,
        kind="categorical",
        bin_kinds=("missing", "other", "unseen", *("category" for _ in named)),
        labels=("missing", "other", "unseen", *named),
        coarse_ids=np.array(coarse, dtype=np.int32),
        categories={
            category: FIRST_CATEGORY + rank if rank < limit else OTHER for rank, (category, _) in enumerate(ranked)
        },
    )


# With fewer categories that occur once, the expected share of unseen rows is too uncertain.
_FEWEST_SINGLES = 5


def with_expected_unseen(counts: Counts, singles: Sequence[int]) -> Counts:
    """Training counts of shape (groups, bins) with the share of unseen rows that is expected in other data.

    The expected share of rows with unseen categories is the share of rows whose category occurs once (Good 1953); `singles`
    are the bins of these categories. The remaining counts of the bins are those expected in other data. With only a few such
    rows the estimate would be mostly chance.
    """
    if len(singles) < _FEWEST_SINGLES:
        return counts
    expected = counts.copy()
    expected[:, UNSEEN] += len(singles)
    for bin_id in singles:
        expected[:, bin_id] -= 1
    return expected


def _coarse_ids(range_counts: Counts) -> Indices:
    starts = merge_evenly(range_counts, MAX_COARSE_BINS, HEAVY_COARSE_SHARE)
    groups = np.searchsorted(starts, np.arange(len(range_counts)), side="right") - 1
    return np.concatenate([[MISSING, BELOW, ABOVE], FIRST_RANGE + groups]).astype(np.int32)


def _assemble(feature: str, kind: FeatureKind, grid: Grid, first_cells: Indices, coarse_ids: Indices) -> FeatureBins:
    borders = [grid.border(cell) for cell in [*first_cells.tolist(), grid.cells]]
    return FeatureBins(
        feature=feature,
        kind=kind,
        bin_kinds=("missing", "below", "above", *("range" for _ in first_cells)),
        labels=(
            "missing",
            f"below {borders[0]:.6g}",
            f"above {borders[-1]:.6g}",
            *(f"{low:.6g} to {high:.6g}" for low, high in pairwise(borders)),
        ),
        coarse_ids=coarse_ids,
        grid=grid,
        first_cells=first_cells,
    )


def merge_evenly(counts: Counts, parts: int, heavy_share: float) -> Indices:
    """Merge consecutive cells into at most `parts` groups of about equal mass; heavy cells stay alone.

    Returns the first cell of each group, ascending, starting with 0.
    """
    cumulative = np.cumsum(counts) / max(int(counts.sum()), 1)
    heavy = np.flatnonzero(counts >= heavy_share * max(int(counts.sum()), 1))
    for targets in range(parts, 0, -1):
        quantiles = np.arange(1, targets) / targets
        # border after the cell whose cumulative share is nearest to the quantile
        right = np.clip(np.searchsorted(cumulative, quantiles), 1, len(counts) - 1) if len(counts) > 1 else None
        nearest = np.array([], dtype=np.int64)
        if right is not None:
            is_left_nearer = quantiles - cumulative[right - 1] < cumulative[right] - quantiles
            nearest = np.where(is_left_nearer, right, right + 1)
        starts = np.unique(np.concatenate([[0], nearest, heavy, heavy + 1]))
        starts = starts[starts < len(counts)]
        if len(starts) <= parts:
            return starts.astype(np.int32)
    return _merge_lightest(counts, starts, parts)


def _merge_lightest(counts: Counts, starts: Counts, parts: int) -> Indices:
    """Merge the two neighbouring groups with the fewest rows until `parts` groups are left, so heavy cells are merged last."""
    masses = np.add.reduceat(counts, starts)
    while len(starts) > parts:
        lightest = int(np.argmin(masses[:-1] + masses[1:]))
        masses[lightest] += masses[lightest + 1]
        masses, starts = np.delete(masses, lightest + 1), np.delete(starts, lightest + 1)
    return starts.astype(np.int32)


def _logit(probability: float) -> float:
    return math.log(probability / (1 - probability))


def _odds(probability: float) -> float:
    return probability / (1 - probability)


def _expit(log_odds: float) -> float:
    return 1 / (1 + math.exp(-log_odds))


_FORWARD_AND_INVERSE: Mapping[str, tuple[Callable[[float], float], Callable[[float], float]]] = {
    "linear": (float, float),
    "log": (math.log, math.exp),
    "asinh": (math.asinh, math.sinh),
    "logit": (_logit, _expit),
}


@cache
def _asinh() -> bh.axis.transform.Function:
    # The functions of the C library, which DuckDB also calls; numpy's vectorised versions differ in the last bit.
    library = ctypes.CDLL(ctypes.util.find_library("m"))
    signature = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_double)
    return bh.axis.transform.Function(signature(("asinh", library)), signature(("sinh", library)), name="asinh")
