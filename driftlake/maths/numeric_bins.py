"""The bins of a number, learned from its training values.

A bin holds at most `LARGEST_SHARE` of the training rows, or a single value that has more. Borders lie in the gaps
between the values that occur. Not here: what bins are (`driftlake.maths.binning`) and counting rows into them
(`driftlake.profiles.kernel`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from driftlake.maths.arrays import Counts, Floats, Indices
from driftlake.maths.binning import FeatureBins, FeatureKind, Grid, bins_of_cells

GRID_CELLS = 4096
# Training values beyond this are sentinels rather than measurements. The grid does not include them; they count as
# above or below.
LARGEST_LEARNED = 1e150
# A percentile per bin is as fine as a drift chart or a KS statistic can use; it bounds the error of the KS distance.
LARGEST_SHARE = 0.01
# If many values have a percentile each, bins of at most a percentile can be a few more than a hundred.
MAX_BINS = 120

# Another transform than the linear one must spread the training data better by this much (in nats of entropy).
_WORTHWHILE_GAIN = 1.0
# A lattice needs at least this many steps. With fewer, one step is so large a part of the range that values one step
# beyond it should not count as inside, and the values are few distinct values rather than a lattice.
_MANY_STEPS = 20
_MOST_LATTICE_STEPS = 2**40
# How many rows of a cell may have other values than its most frequent one, relative to the largest share of a bin.
_NEGLIGIBLE = 0.1
# If at most this share of the rows of a bin have another value than its most frequent one, the bin counts as having
# that value alone.
_FEW_OTHERS = 0.1


def learnable(values: Floats) -> Floats:
    """The values from which a grid is learned: finite ones that are not sentinels."""
    return values[np.abs(values) <= LARGEST_LEARNED]


def learn_numeric_bins(
    feature: str, values: Floats, *, kind: FeatureKind = "numeric", bin_limit: int | None = None
) -> FeatureBins:
    """Learn the bins of a number, whatever type it is stored in.

    Parameters
    ----------
    values : training values, shape (n,), at least one of them `learnable`
    bin_limit : largest number of bins within the training range, if less than MAX_BINS
    """
    occurring = _Occurring.of(learnable(values))
    limit = min(bin_limit or MAX_BINS, MAX_BINS)
    largest = max(LARGEST_SHARE, 1 / limit)
    for grid in _grids(occurring, limit):
        cells = grid.cells_of(occurring.values)
        if occurring.are_separated(cells, largest):
            return _bins_on_grid(feature, kind, grid, cells, occurring, limit)
    starts = _packed(occurring.counts, limit)
    grid = Grid.of_borders(_borders_between(occurring.values, starts, _ends(occurring, limit)))
    return _bins_on_grid(feature, kind, grid, grid.cells_of(occurring.values), occurring, limit)


@dataclass(frozen=True, slots=True)
class _Occurring:
    """The distinct training values, ascending, and the rows of each; values that differ only by rounding count as one."""

    values: Floats
    counts: Counts

    @classmethod
    def of(cls, values: Floats) -> _Occurring:
        distinct, counts = np.unique(values, return_counts=True)
        rounding = 8 * np.spacing(np.maximum(np.abs(distinct[1:]), np.abs(distinct[:-1])))
        starts = np.flatnonzero(np.concatenate([[True], np.diff(distinct) > rounding]))
        summed = np.add.reduceat(counts, starts)
        # of values that count as one, the one that most rows have
        order = np.lexsort((-counts, np.repeat(np.arange(len(starts)), np.diff(starts, append=len(distinct)))))
        return cls(distinct[order][starts], summed)

    @property
    def low(self) -> float:
        return float(self.values[0])

    @property
    def high(self) -> float:
        return float(self.values[-1])

    def are_separated(self, cells: Indices, largest: float) -> bool:
        """Whether every cell with more than the largest share of a bin holds a single value, apart from negligibly few rows."""
        starts = np.flatnonzero(np.diff(cells, prepend=-1))
        held, heaviest = np.add.reduceat(self.counts, starts), np.maximum.reduceat(self.counts, starts)
        limit = largest * self.counts.sum()
        return bool(np.all((held <= limit) | (held - heaviest <= _NEGLIGIBLE * limit)))


def _bins_on_grid(
    feature: str, kind: FeatureKind, grid: Grid, cells: Indices, occurring: _Occurring, limit: int
) -> FeatureBins:
    """Bins made of the cells in which training values occur; `cells` has the cell of each value, shape (values,)."""
    starts = np.flatnonzero(np.diff(cells, prepend=-1))
    occupied = cells[starts]
    firsts = _packed(np.add.reduceat(occurring.counts, starts), limit)
    of_values = starts[firsts].astype(np.int32)
    # the border in the middle of the gap
    first_cells = np.concatenate([[0], (occupied[firsts[1:] - 1] + occupied[firsts[1:]] + 1) // 2]).astype(np.int32)
    bin_counts = np.add.reduceat(occurring.counts, of_values)
    return bins_of_cells(feature, kind, grid, first_cells, bin_counts, _training_ends(occurring, of_values, bin_counts))


def _training_ends(occurring: _Occurring, starts: Indices, bin_counts: Counts) -> Floats:
    """Lowest and highest training value of each bin. If nearly all rows of a bin have one value, both are that value."""
    lasts = np.append(starts[1:], len(occurring.values)) - 1
    ends = np.column_stack([occurring.values[starts], occurring.values[lasts]])
    heaviest = np.maximum.reduceat(occurring.counts, starts)
    for place in np.flatnonzero(heaviest >= (1 - _FEW_OTHERS) * bin_counts):
        of_bin = slice(starts[place], lasts[place] + 1)
        ends[place] = occurring.values[of_bin][np.argmax(occurring.counts[of_bin])]
    return ends


def _packed(counts: Counts, parts: int) -> Indices:
    """Pack consecutive cells into groups of at most a given share of all rows; a cell with more is a group of its own.

    The share is `LARGEST_SHARE`, or the smallest with which there are at most `parts` groups. Returns the first cell of
    each group, ascending, starting with 0.
    """
    if len(counts) <= parts:
        return np.arange(len(counts), dtype=np.int32)
    share = max(LARGEST_SHARE, 1 / parts)
    while len(starts := _packed_to(counts, share)) > parts:
        share *= 1.02
    return starts


def _packed_to(counts: Counts, share: float) -> Indices:
    before = np.concatenate([[0], np.cumsum(counts)])
    limit = math.floor(share * int(before[-1]) * (1 + 1e-12))
    heavy = np.append(np.flatnonzero(counts > limit), len(counts))
    starts = [0]
    while True:
        start = starts[-1]
        fitting = int(np.searchsorted(before, before[start] + limit, side="right")) - 1
        next_heavy = int(heavy[np.searchsorted(heavy, start)])
        # a heavy cell is a group of its own
        end = start + 1 if next_heavy == start else min(max(fitting, start + 1), next_heavy)
        if end >= len(counts):
            return np.array(starts, dtype=np.int32)
        starts.append(end)


def _grids(occurring: _Occurring, limit: int) -> Iterator[Grid]:
    """Regular grids over the training values, the best first."""
    low, high = occurring.low, occurring.high
    if high - low <= GRID_CELLS * np.spacing(max(abs(low), abs(high))):
        # one value, or several that differ only by rounding the smallest half-width that survives rounding at this
        # magnitude
        half = max(0.5, abs(low) * 1e-9)
        yield Grid("linear", 1.0, low - half, low + half, 1)
        return
    lattice = _lattice_step(occurring.values)
    if lattice and (high - low) / lattice < GRID_CELLS - 2:
        yield _lattice_grid(lattice, low, high)
    candidates = _stretched_grids(occurring, lattice, _ends(occurring, limit))
    linear, *others = [(grid, _entropy(grid, occurring)) for grid in candidates]
    ranked = sorted([linear, *others], key=lambda pair: -pair[1])
    if ranked[0][1] <= linear[1] + _WORTHWHILE_GAIN:
        ranked = [linear, *(pair for pair in ranked if pair is not linear)]
    yield from (grid for grid, _ in ranked)


def _stretched_grids(occurring: _Occurring, lattice: float | None, ends: tuple[float, float]) -> Iterator[Grid]:
    low, high = ends
    yield (
        _lattice_grid(lattice, occurring.low, occurring.high) if lattice else Grid("linear", 1.0, low, high, GRID_CELLS)
    )
    if low > 0:
        yield Grid("log", 1.0, low, high, GRID_CELLS)
    if typical := float(np.median(np.abs(np.repeat(occurring.values, occurring.counts)))):
        # a power of two divides exactly; the limit keeps the largest value over it finite
        scale = max(2.0 ** round(math.log2(typical)), 1 / LARGEST_LEARNED)
        yield Grid("asinh", scale, low / scale, high / scale, GRID_CELLS)


def _ends(occurring: _Occurring, limit: int) -> tuple[float, float]:
    """Lower end of the grid, and its upper end, which lies above every training value.

    If there are few distinct values, the grid extends half a gap beyond their range, but not to zero.
    """
    low, high = occurring.low, occurring.high
    # so that float32 values in production are not below the same values stored as float64 in training
    rounding = 2.0**-20
    below, above = abs(low) * rounding, max(abs(high) * rounding, (high - low) * 1e-12)
    if 1 < len(occurring.values) <= limit:
        gaps = np.diff(occurring.values)
        usual = float(np.median(gaps))
        below, above = max(below, min(float(gaps[0]), usual) / 2), max(above, min(float(gaps[-1]), usual) / 2)
    if low >= 0:
        below = min(below, low / 2)
    if high < 0:
        above = min(above, -high / 2)
    return low - below, high + above


def _borders_between(values: Floats, starts: Indices, ends: tuple[float, float]) -> list[float]:
    """Borders in the middle of the gaps before the values that begin a group, and the ends."""
    left, right = values[starts[1:] - 1], values[starts[1:]]
    middles = left + (right - left) / 2
    return [ends[0], *middles.tolist(), ends[1]]


def _lattice_step(values: Floats) -> float | None:
    """The step of the lattice on which distinct values lie: whole numbers, cents, percentages; None if there is none."""
    if len(values) < 2:
        return None
    gaps = np.diff(values)
    smallest = float(gaps.min())
    steps = np.rint(gaps / smallest) if (values[-1] - values[0]) / smallest < _MOST_LATTICE_STEPS else None
    if steps is None or (steps.sum() < _MANY_STEPS and smallest != 1):
        return None
    step = float((values[-1] - values[0]) / steps.sum())
    is_single = bool(np.all(values.astype(np.float32) == values)) and not bool(np.all(np.rint(values) == values))
    largest = max(abs(float(values[0])), abs(float(values[-1])))
    rounding = 4 * float(np.spacing(np.float32(largest)) if is_single else np.spacing(largest))
    distance = np.abs(values - values[0] - step * np.concatenate([[0], np.cumsum(steps)]))
    return step if rounding < step / 8 and distance.max() <= rounding else None


def _lattice_grid(step: float, low: float, high: float) -> Grid:
    """A grid with one cell per value of the lattice, or per several values if there are many; borders lie half-way between values.

    Values one step beyond the training range count as inside it, unless the step leads to zero or across it.
    """
    first, last = low, high
    if high - low > (_MANY_STEPS - 0.5) * step:
        first = low - step if low - step > step / 2 or low < 0 else low
        last = high + step if high + step < -step / 2 or high > 0 else high
    count = round((last - first) / step) + 1
    width = -(-count // GRID_CELLS)
    cells = -(-count // width)
    lower = first - step / 2
    return Grid("linear", 1.0, lower, lower + cells * width * step, cells)


def _entropy(grid: Grid, occurring: _Occurring) -> float:
    counts = np.bincount(grid.cells_of(occurring.values), occurring.counts)
    shares = counts[counts > 0] / occurring.counts.sum()
    return float(-(shares * np.log(shares)).sum())
