"""The bins of a feature, learned once from its training data and stored as the binning contract.

A numeric value falls into a *cell* of a regular grid by arithmetic that SQL can repeat (sql/macros/grid_cell.sql);
cells are merged into *bins* along the training percentiles, bins into *coarse bins* along the deciles.
Not here: counting rows into bins (`driftlake.profiles.kernel`) and storing (`driftlake.lineage.lineage_files`).
"""

from __future__ import annotations

import ctypes
import ctypes.util
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import pairwise
from typing import Any, Literal

import boost_histogram as bh
import numpy as np

from driftlake.maths.arrays import Counts, Floats, Indices
from driftlake.maths.spelling import Spelling

Transform = Literal["linear", "log", "asinh", "logit"]
FeatureKind = Literal["numeric", "categorical", "score"]

# bin_id and coarse_bin_id of the bins every feature of a kind has
MISSING, BELOW, ABOVE, FIRST_RANGE = 0, 1, 2, 3
OTHER, UNSEEN, FIRST_CATEGORY = 1, 2, 3

GRID_CELLS = 4096
# Larger training values are sentinels rather than measurements, and no grid spans them; they count as above or below.
LARGEST_LEARNED = 1e150
# A percentile per bin is as fine as a drift chart or a KS statistic can use.
MAX_BINS = 99
MAX_CATEGORIES = 100
# Beyond this many training categories the rarest are not remembered and count as unseen in production.
MAX_KNOWN_CATEGORIES = 100_000
# A value, or category, with this share of the training rows is not merged with others.
HEAVY_SHARE = 0.01
MAX_COARSE_BINS = 10
HEAVY_COARSE_SHARE = 0.1
MAX_COARSE_CATEGORIES = 20
# Integers with at most this many training values are codes rather than quantities.
MAX_INTEGER_CATEGORIES = 20

# Another transform than the linear one must spread the training data better by this much (in nats of entropy).
_WORTHWHILE_GAIN = 1.0


@dataclass(frozen=True, slots=True)
class Grid:
    """A regular grid over values: `lower` and `upper` are its ends, divided by `scale`.

    cell = floor((t(x / scale) - t(lower)) / (t(upper) - t(lower)) * cells), t being `transform`.
    """

    transform: Transform
    scale: float
    lower: float
    upper: float
    cells: int

    def histogram(self) -> Any:
        """An empty histogram of the cells, with one flow bin below and one above."""
        return bh.Histogram(self.axis(), storage=bh.storage.Int64())

    def axis(self) -> Any:
        """The cells as an axis of boost-histogram."""
        if self.transform == "logit":
            log = bh.axis.transform.log
            return bh.axis.Regular(self.cells, _odds(self.lower), _odds(self.upper), transform=log)
        transform = {"linear": None, "log": bh.axis.transform.log, "asinh": _asinh()}[self.transform]
        return bh.axis.Regular(self.cells, self.lower, self.upper, transform=transform)

    def prepared(self, values: Floats) -> Floats:
        """Values as `axis` takes them."""
        if self.transform == "logit":
            # the odds, whose logarithm is the logit; what is no probability is on the side it exceeds
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

    def border(self, cell: int) -> float:
        """Value at the lower border of `cell`."""
        if cell == 0:
            return self.lower * self.scale
        forward, inverse = _FORWARD_AND_INVERSE[self.transform]
        low, high = forward(self.lower), forward(self.upper)
        return float(inverse(low + (high - low) * cell / self.cells)) * self.scale


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
    # every known category -> its bin
    categories: Mapping[str, int] | None = None

    @property
    def bin_count(self) -> int:
        """Bins, the missing one included."""
        return len(self.labels)

    @cached_property
    def borders(self) -> Floats:
        """Borders of the range bins, shape (number of range bins + 1,)."""
        if self.grid is None or self.first_cells is None:
            raise ValueError(f"{self.feature} has categories, not borders")
        cells = [*self.first_cells.tolist(), self.grid.cells]
        return np.array([self.grid.border(cell) for cell in cells])

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
        cells = self.grid.axis().index(self.grid.prepared(values))
        ids: Indices = self._bin_of_cell_or_flow[cells + 1]
        ids[np.isnan(values)] = MISSING
        return ids

    @cached_property
    def _bin_of_cell_or_flow(self) -> Indices:
        return np.array([BELOW, *self.bin_of_cells(), ABOVE], dtype=np.int32)

    def bins_of_categories(self, names: Sequence[str | None]) -> Indices:
        """Bin of each category and, last, of null, shape (len(names) + 1,); a category without a name is missing too."""
        known = self.categories or {}
        ids = [MISSING if name is None else known.get(name, UNSEEN) for name in names]
        if UNSEEN in ids and self._spelling.is_flexible:
            ids = [self._bin_otherwise_spelled(name) if i == UNSEEN else i for i, name in zip(ids, names, strict=True)]
        return np.array([*ids, MISSING], dtype=np.int32)

    def _bin_otherwise_spelled(self, name: str | None) -> int:
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
        """What is told apart before values are put into bins: cells of a grid, or known categories."""
        return set(self.categories or ()) if self.grid is None else self.grid

    @cached_property
    def _meanings(self) -> list[tuple[str, str | int]]:
        """What each bin counts; categories are ranked by how frequent they were in training, ranges by value."""
        if self.first_cells is None:
            return list(zip(self.bin_kinds, self.labels, strict=True))
        cells = [-1] * FIRST_RANGE + self.first_cells.tolist()
        return list(zip(self.bin_kinds, cells, strict=True))

    def bin_of_cells(self) -> list[int]:
        """Bin of every cell of the grid."""
        if self.grid is None or self.first_cells is None:
            raise ValueError(f"{self.feature} has categories, not cells")
        positions = np.searchsorted(self.first_cells, np.arange(self.grid.cells), side="right") - 1
        return [int(position) for position in FIRST_RANGE + positions]

    def rows(self) -> list[dict[str, Any]]:
        """Rows of feature_bins, without the model columns."""
        return [self._row(bin_id) for bin_id in range(self.bin_count)]

    def _row(self, bin_id: int) -> dict[str, Any]:
        row: dict[str, Any] = {
            "feature": self.feature,
            "bin_id": bin_id,
            "feature_kind": self.kind,
            "bin_kind": self.bin_kinds[bin_id],
            "label": self.labels[bin_id],
            "coarse_bin_id": int(self.coarse_ids[bin_id]),
        }
        if self.grid is None or self.first_cells is None:
            return row | {"category": self.labels[bin_id] if self.bin_kinds[bin_id] == "category" else None}
        row |= {f"grid_{name}": getattr(self.grid, name) for name in ("transform", "scale", "lower", "upper", "cells")}
        if bin_id >= FIRST_RANGE:
            position = bin_id - FIRST_RANGE
            next_cells = [*self.first_cells[1:].tolist(), self.grid.cells]
            row |= {
                "lower": self.borders[position],
                "upper": self.borders[position + 1],
                "cell_first": int(self.first_cells[position]),
                "cell_last": next_cells[position] - 1,
            }
        return row

    @classmethod
    def from_rows(cls, rows: Sequence[Mapping[str, Any]], categories: Mapping[str, int]) -> FeatureBins:
        """Rebuild from the rows of feature_bins of one feature (any order) and its rows of feature_categories."""
        ordered = sorted(rows, key=lambda row: int(row["bin_id"]))
        first = ordered[0]
        is_gridded = first["grid_transform"] is not None
        return cls(
            feature=first["feature"],
            kind=first["feature_kind"],
            bin_kinds=tuple(row["bin_kind"] for row in ordered),
            labels=tuple(row["label"] for row in ordered),
            coarse_ids=np.array([row["coarse_bin_id"] for row in ordered], dtype=np.int32),
            grid=Grid(
                first["grid_transform"],
                first["grid_scale"],
                first["grid_lower"],
                first["grid_upper"],
                first["grid_cells"],
            )
            if is_gridded
            else None,
            first_cells=np.array([row["cell_first"] for row in ordered[FIRST_RANGE:]], dtype=np.int32)
            if is_gridded
            else None,
            categories=None if is_gridded else dict(categories),
        )


def learnable(values: Floats) -> Floats:
    """The values that say something about the grid: finite, and not beyond all measure."""
    return values[np.abs(values) <= LARGEST_LEARNED]


def learn_numeric_bins(
    feature: str, values: Floats, *, is_integer: bool, kind: FeatureKind = "numeric", bin_limit: int | None = None
) -> FeatureBins:
    """Learn the bins of a numeric feature.

    Parameters
    ----------
    values : training values, shape (n,), at least one of them `learnable`
    is_integer : whether the values are whole numbers, which get a cell each where the grid has room
    bin_limit : most bins within the training range, if fewer than MAX_BINS
    """
    values = learnable(values)
    grid = _choose_grid(values, is_integer=is_integer)
    return _bins_on_grid(feature, grid, grid.count(values), kind, min(bin_limit or MAX_BINS, MAX_BINS))


def probability_bins(feature: str) -> FeatureBins:
    """Bins of a probability: fixed ones on the logit scale, so nothing is learned; a coarse bin is two units of log-odds."""
    grid = PROBABILITY_GRID
    first_cells = np.arange(grid.cells, dtype=np.int32)
    coarse = np.concatenate([[MISSING, BELOW, ABOVE], FIRST_RANGE + first_cells // 40])
    return _assemble(feature, "score", grid, first_cells, coarse.astype(np.int32))


def share_from(bins: FeatureBins, cut: float) -> Floats:
    """Share of the values of each bin that are `cut` or more, as if they lay evenly in it.

    Bins from the lowest values to the highest, below and above the training range included: shape (ranges + 2,).
    """
    borders = bins.borders
    inside = np.clip((borders[1:] - cut) / np.diff(borders), 0, 1)
    return np.concatenate([[float(cut < borders[0])], inside, [float(cut <= borders[-1])]])


def with_coarse_bins(bins: FeatureBins, counts: Counts) -> FeatureBins:
    """The same bins with coarse bins along the deciles of `counts`, shape (bin_count,)."""
    if bins.grid is None or bins.first_cells is None:
        raise ValueError(f"{bins.feature} has categories, not cells")
    return _assemble(bins.feature, bins.kind, bins.grid, bins.first_cells, _coarse_ids(counts[FIRST_RANGE:]))


def learn_category_bins(
    feature: str, categories: Sequence[str], counts: Counts, bin_limit: int | None = None
) -> FeatureBins:
    """Learn the bins of a categorical feature.

    Parameters
    ----------
    categories : the distinct training categories
    counts : training rows of each, shape (len(categories),)
    bin_limit : most categories with a bin of their own, if fewer than MAX_CATEGORIES
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


def _bins_on_grid(feature: str, grid: Grid, cell_counts: Counts, kind: FeatureKind, bin_limit: int) -> FeatureBins:
    first_cells = merge_evenly(cell_counts, bin_limit, max(HEAVY_SHARE, 1 / (bin_limit + 1)))
    bin_counts = np.add.reduceat(cell_counts, first_cells)
    return _assemble(feature, kind, grid, first_cells, _coarse_ids(bin_counts))


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
    """Join the two neighbours that hold the least, until `parts` groups are left: heavy cells are the last to meet."""
    masses = np.add.reduceat(counts, starts)
    while len(starts) > parts:
        lightest = int(np.argmin(masses[:-1] + masses[1:]))
        masses[lightest] += masses[lightest + 1]
        masses, starts = np.delete(masses, lightest + 1), np.delete(starts, lightest + 1)
    return starts.astype(np.int32)


def _choose_grid(values: Floats, *, is_integer: bool) -> Grid:
    low, high = float(values.min()), float(values.max())
    if high - low <= GRID_CELLS * np.spacing(max(abs(low), abs(high))):
        # one value, or several that only rounding tells apart
        # the smallest half-width that survives rounding at this magnitude
        half = max(0.5, abs(low) * 1e-9)
        return Grid("linear", 1.0, low - half, low + half, 1)
    if is_integer and high - low < GRID_CELLS:
        # borders at half numbers, so that rounding never moves a whole number to its neighbour's cell
        return Grid("linear", 1.0, low - 0.5, high + 0.5, int(high - low) + 1)
    candidates = [_stretched("linear", 1.0, low, high)]
    if low > 0:
        candidates.append(_stretched("log", 1.0, low, high))
    if typical := float(np.median(np.abs(values))):
        # a power of two divides exactly; the limit keeps the largest value over it finite
        scale = max(2.0 ** round(math.log2(typical)), 1 / LARGEST_LEARNED)
        candidates.append(_stretched("asinh", scale, low / scale, high / scale))
    linear, *others = [(grid, _entropy(grid.count(values))) for grid in candidates]
    best = max([linear, *others], key=lambda pair: pair[1])
    return best[0] if best[1] > linear[1] + _WORTHWHILE_GAIN else linear[0]


def _stretched(transform: Transform, scale: float, low: float, high: float) -> Grid:
    """A grid that starts at `low` and whose last cell holds `high`."""
    forward, inverse = _FORWARD_AND_INVERSE[transform]
    step = (forward(high) - forward(low)) / (GRID_CELLS - 1)
    return Grid(transform, scale, low, float(inverse(forward(low) + step * GRID_CELLS)), GRID_CELLS)


def _entropy(counts: Counts) -> float:
    shares = counts[counts > 0] / max(int(counts.sum()), 1)
    return float(-(shares * np.log(shares)).sum())


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
    # The C library's own functions, which DuckDB calls too: numpy's vectorised ones differ in the last bit.
    library = ctypes.CDLL(ctypes.util.find_library("m"))
    signature = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_double)
    return bh.axis.transform.Function(signature(("asinh", library)), signature(("sinh", library)), name="asinh")
