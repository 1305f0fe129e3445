"""The profile kernel: columns in, counts per group and bin, and moments per group, out.

A *group* is what a row belongs to: a deployment, or a deployment and the value of a segment column. The same code
counts training data, row groups of telemetry, and the parts that a worker of a cluster gets. Counts add up, so the
input may be cut anywhere. Not here: which rows count and what they belong to (`driftlake.inputs.predictions`), and
where the row groups come from (`driftlake.profiles.plan`).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import chain, repeat
from operator import add
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from driftlake.maths.arrays import Counts, Floats, Indices
from driftlake.maths.binning import ABOVE, BELOW, FIRST_RANGE, MISSING, FeatureBins
from driftlake.maths.encoding import Column, encode, float_values

PERCENTILES = (1, 5, 25, 50, 75, 95, 99)
# The columns of feature_stats that `FeatureCounts.stats` computes for numbers.
MEASURES = ("mean", "standard_deviation", "minimum", "maximum", *(f"p{q:02d}" for q in PERCENTILES))

# Latency bins have this relative width. No clock of a serving system resolves 0.001 ms.
LATENCY_WIDTH = 1.01
SHORTEST_LATENCY_MS = 0.001

# The predicted class of rows without one.
NO_CLASS = "(missing)"

# Counting cells in one histogram per group is fastest while the histograms of all features fit into the processor's
# cache. With more groups than this, rows are counted by bin, and so are so few rows that a histogram takes longer to
# make than to fill.
_FEW_GROUPS, _FEW_ROWS = 8, 16_384


@dataclass(frozen=True, slots=True)
class Grouping:
    """Rows sorted by group: `order` has the row numbers, shape (n,), or is None if the rows are sorted already.

    `groups` are the groups that have rows, ascending, shape (present,); `starts` the first position of each in `order`.
    """

    groups: NDArray[np.int64]
    starts: NDArray[np.int64]
    row_count: int
    order: NDArray[np.int64] | None = None

    @classmethod
    def of(cls, codes: NDArray[Any]) -> Grouping:
        """Group rows by their code, shape (n,); rows with a negative code are left out."""
        is_grouped = bool(np.all(codes[1:] >= codes[:-1]))
        order = None if is_grouped else np.argsort(codes, kind="stable")
        ordered = codes if order is None else codes[order]
        dropped = int(np.searchsorted(ordered, 0))
        if dropped:
            order = np.arange(dropped, len(codes)) if order is None else order[dropped:]
            ordered = ordered[dropped:]
        starts = np.flatnonzero(np.diff(ordered, prepend=-1))
        return cls(ordered[starts].astype(np.int64), starts, len(ordered), order)

    @classmethod
    def single(cls, row_count: int) -> Grouping:
        """A grouping with all rows in group 0."""
        present = min(row_count, 1)
        return cls(np.zeros(present, dtype=np.int64), np.zeros(present, dtype=np.int64), row_count)

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Rows per group, shape (present,)."""
        ends = np.empty_like(self.starts)
        ends[:-1], ends[-1:] = self.starts[1:], self.row_count
        return ends - self.starts

    def ordered(self, values: NDArray[Any]) -> NDArray[Any]:
        """Values group by group."""
        return values if self.order is None else values[self.order]

    def slices(self) -> Iterator[tuple[int, slice]]:
        """Each group with its positions in `order`."""
        for group, start, size in zip(self.groups.tolist(), self.starts.tolist(), self.sizes.tolist(), strict=True):
            yield group, slice(start, start + size)


@dataclass(frozen=True, slots=True)
class Moments:
    """Count, mean, sum of squared deviations, minimum and maximum of finite values per group, each of shape (groups,)."""

    count: Counts
    mean: Floats
    squared_deviations: Floats
    minimum: Floats
    maximum: Floats

    @classmethod
    def of(cls, values: Floats, starts: NDArray[np.int64]) -> Moments:
        """Moments of finite values that are sorted by group, shape (n,); no group is empty."""
        sizes = np.diff(starts, append=len(values))
        # numpy instead of BLAS, whose threads would compete with ours
        with np.errstate(over="ignore"):
            means = np.add.reduceat(values, starts) / sizes
            deviations = values - (means if len(sizes) == 1 else np.repeat(means, sizes))
            squared_deviations = np.add.reduceat(np.square(deviations, out=deviations), starts)
        extremes = np.minimum.reduceat(values, starts), np.maximum.reduceat(values, starts)
        return cls(sizes, means, squared_deviations, *extremes)

    @classmethod
    def combined(cls, parts: Sequence[tuple[NDArray[np.int64], Moments]], group_count: int) -> Moments:
        """Combine the moments of all parts, each given with its groups (Chan, Golub and LeVeque 1983)."""
        if len(parts) == 1 and len(parts[0][0]) == group_count:
            return parts[0][1]
        if not parts:
            nothing, lowest = np.zeros(group_count), np.full(group_count, -np.inf)
            return cls(np.zeros(group_count, np.int64), nothing, nothing, -lowest, lowest)
        groups = np.concatenate([np.empty(0, np.int64), *(groups for groups, _ in parts)])

        def joined(name: str) -> Any:
            return np.concatenate([np.empty(0), *(getattr(moments, name) for _, moments in parts)])

        def summed(values: Floats) -> Floats:
            return np.bincount(groups, weights=values, minlength=group_count).astype(np.float64, copy=False)

        counts, means = joined("count"), joined("mean")
        count = summed(counts)
        mean = summed(counts / np.maximum(count, 1)[groups] * means)
        with np.errstate(over="ignore"):
            squared_deviations = summed(joined("squared_deviations") + counts * np.square(means - mean[groups]))
        minimum, maximum = np.full(group_count, np.inf), np.full(group_count, -np.inf)
        np.minimum.at(minimum, groups, joined("minimum"))
        np.maximum.at(maximum, groups, joined("maximum"))
        return cls(count.astype(np.int64), mean, squared_deviations, minimum, maximum)


@dataclass(frozen=True, slots=True)
class Measured:
    """The moments of groups with finite values; `groups`, ascending, shape (groups,)."""

    groups: NDArray[np.int64]
    moments: Moments

    @classmethod
    def of(cls, values: Floats, grouping: Grouping, is_finite: NDArray[np.bool_] | None) -> Measured:
        """Measure the finite ones of values that are sorted by group, shape (rows,); `is_finite` is None if all are."""
        groups, starts = grouping.groups, grouping.starts
        if is_finite is not None:
            values = values[is_finite]
            ends = np.cumsum(is_finite)[starts[1:] - 1] if len(starts) else starts
            starts = np.concatenate([starts[:1], ends])
            has_rows = np.diff(starts, append=len(values)) > 0
            groups, starts = groups[has_rows], starts[has_rows]
        return cls(groups, Moments.of(values, starts))

    def between(self, first: int, end: int) -> Measured:
        """Groups from `first` to `end` - 1, counted from `first`."""
        start, stop = np.searchsorted(self.groups, [first, end])
        some, of_all = slice(start, stop), self.moments
        moments = Moments(
            of_all.count[some],
            of_all.mean[some],
            of_all.squared_deviations[some],
            of_all.minimum[some],
            of_all.maximum[some],
        )
        return Measured(self.groups[some] - first, moments)


@dataclass(frozen=True, slots=True)
class FeatureCounts:
    """The counts of a feature: `bins` has shape (groups, bin_count); a categorical feature has empty moments."""

    bins: Counts
    moments: Moments

    @classmethod
    def combined(cls, parts: Sequence[FeatureCounts]) -> FeatureCounts:
        """Everything counted in all parts, which have the same groups."""
        bins = np.sum([part.bins for part in parts], axis=0)
        groups = np.arange(len(bins))
        return cls(bins, Moments.combined([(groups, part.moments) for part in parts], len(groups)))

    def stats(self, bins: FeatureBins) -> dict[str, NDArray[Any]]:
        """The columns of feature_stats and reference_stats, each of shape (groups,); nan where there is no value."""
        return StackedCounts.of([bins], [self]).stats()


@dataclass(frozen=True, slots=True)
class StackedCounts:
    """Counts of many features, of several versions and days, as arrays: a series is a feature in one group.

    The groups of a feature follow one another. `places` are positions in `features`, shape (series,); `bins` has shape
    (series, largest bin_count), with 0 beyond the bins of a feature; the moments have shape (series,).
    """

    features: Sequence[FeatureBins]
    places: NDArray[np.int64]
    bins: Counts
    moments: Moments

    @classmethod
    def of(cls, features: Sequence[FeatureBins], counts: Sequence[FeatureCounts]) -> StackedCounts:
        """Stack the counts of at least one feature."""
        ends = np.cumsum([len(of_feature.bins) for of_feature in counts]).tolist()
        stacked = np.zeros((ends[-1], max(bins.bin_count for bins in features)), dtype=np.int64)
        for of_feature, end in zip(counts, ends, strict=True):
            group_count, width = of_feature.bins.shape
            stacked[end - group_count : end, :width] = of_feature.bins
        moments = (
            np.concatenate([getattr(of_feature.moments, name) for of_feature in counts]) for name in Moments.__slots__
        )
        return cls(features, np.repeat(np.arange(len(counts)), np.diff(ends, prepend=0)), stacked, Moments(*moments))

    def stats(self) -> dict[str, NDArray[Any]]:
        """The columns of feature_stats, each of shape (series,); nan where there is no value."""
        moments = self.moments
        with np.errstate(invalid="ignore"):
            deviation = np.sqrt(moments.squared_deviations / moments.count)
        measured = (moments.mean, deviation, moments.minimum, moments.maximum, *self._percentiles())
        return {
            "row_count": self.bins.sum(axis=-1),
            "missing_count": self.bins[:, MISSING],
            **{
                name: np.where(moments.count > 0, values, np.nan)
                for name, values in zip(MEASURES, measured, strict=True)
            },
        }

    def _percentiles(self) -> Floats:
        """Percentiles, interpolated between the ends of the bin that contains the rank, shape (percentiles, series).

        Values off the grid count as the minimum or the maximum.
        """
        found = np.full((len(PERCENTILES), len(self.bins)), np.nan)
        is_numeric = np.array([bins.grid is not None for bins in self.features])
        series = np.flatnonzero(is_numeric[self.places])
        if not len(series):
            return found
        # the ends of the range bins of all features, one after the other
        ends = [bins.ends if bins.grid is not None else np.empty((0, 2)) for bins in self.features]
        sizes = np.array([len(of_feature) for of_feature in ends])
        lower, upper = np.concatenate(ends).T
        first = (np.cumsum(sizes) - sizes)[self.places[series]]
        last_place = sizes[self.places[series]] - 1
        counts, minimum, maximum = (
            values[series] for values in (self.bins, self.moments.minimum, self.moments.maximum)
        )
        ranges = np.cumsum(counts[:, FIRST_RANGE:], axis=-1)
        below, above = counts[:, BELOW], counts[:, ABOVE]
        row = np.arange(len(series))
        size = below + ranges[:, -1] + above
        for position, percentile in enumerate(PERCENTILES):
            rank = percentile * (size / 100) - below
            place = np.minimum((ranges < rank[:, np.newaxis]).sum(axis=-1), last_place)
            earlier = np.where(place > 0, ranges[row, place - 1], 0)
            with np.errstate(divide="ignore", invalid="ignore"):
                inside = (rank - earlier) / (ranges[row, place] - earlier)
            low, high = lower[first + place], upper[first + place]
            values = low + np.clip(np.nan_to_num(inside), 0, 1) * (high - low)
            values = np.where(rank < 0, minimum, np.where(rank > ranges[:, -1], maximum, values))
            found[position, series] = np.clip(values, minimum, maximum)
        return found


class FeatureAccumulator:
    """Counts one feature, by several groupings of the same rows, over many blocks of rows."""

    def __init__(self, bins: FeatureBins, group_counts: Sequence[int]) -> None:
        """`group_counts` is the number of groups of each grouping."""
        self._bins = bins
        self._parts = [_Part(bins, count) for count in group_counts]

    def add_values(self, values: Floats, groupings: Sequence[Grouping], measured: Measured | None = None) -> None:
        """Count float values, shape (rows,), nan being missing; `measured` are their moments by the first grouping, if known."""
        is_finite = np.isfinite(values)
        is_all_finite = bool(is_finite.all())
        bin_ids: Indices | None = None
        known = chain([measured], repeat(None))
        for part, grouping, found in zip(self._parts, groupings, known, strict=False):
            ordered = grouping.ordered(values)
            if is_all_finite and part.is_small and len(values) > _FEW_ROWS:
                part.fill(ordered, grouping)
            else:
                bin_ids = self._bins.bin_ids(values) if bin_ids is None else bin_ids
                part.count(grouping.ordered(bin_ids), grouping)
            finite = None if is_all_finite else grouping.ordered(is_finite)
            part.add_moments(found or Measured.of(ordered, grouping, finite))

    def add_categories(self, positions: Indices, names: Sequence[str | None], groupings: Sequence[Grouping]) -> None:
        """Count rows of an encoded column, shape (rows,), positions and names as `values.encode` gives them."""
        bin_of_position = self._bins.bins_of_categories(names)
        for part, grouping in zip(self._parts, groupings, strict=True):
            if part.is_small:
                part.count_positions(grouping.ordered(positions), bin_of_position, grouping)
            else:
                part.count(bin_of_position[grouping.ordered(positions)], grouping)

    def counts(self) -> list[FeatureCounts]:
        """Everything counted so far, per grouping."""
        return [part.total() for part in self._parts]


class _Part:
    """The counts of one grouping."""

    def __init__(self, bins: FeatureBins, group_count: int) -> None:
        self._bins = bins
        self._counts = np.zeros((group_count, bins.bin_count), dtype=np.int64)
        self._moments: list[tuple[NDArray[np.int64], Moments]] = []
        self._histograms: dict[int, Any] = {}
        self.is_small = group_count <= _FEW_GROUPS

    def fill(self, values: Floats, grouping: Grouping) -> None:
        """Count finite values, shape (rows,), cell by cell."""
        assert self._bins.grid
        for group, rows in grouping.slices():
            if group not in self._histograms:
                self._histograms[group] = self._bins.grid.histogram()
            self._histograms[group].fill(self._bins.grid.prepared(values[rows]))

    def count(self, bin_ids: Indices, grouping: Grouping) -> None:
        """Count rows by their bins, shape (rows,)."""
        keys = _pair_keys(grouping, bin_ids, self._bins.bin_count)
        self._counts += np.bincount(keys, minlength=self._counts.size).reshape(self._counts.shape)

    def count_positions(self, positions: Indices, bin_of_position: Indices, grouping: Grouping) -> None:
        """Count rows by the bins of their categories. Rows are first counted per category, because there are fewer categories than rows."""
        for group, rows in grouping.slices():
            per_position = np.bincount(positions[rows], minlength=len(bin_of_position))
            np.add.at(self._counts[group], bin_of_position, per_position)

    def add_moments(self, measured: Measured) -> None:
        """Add the moments of some rows."""
        if len(measured.groups):
            self._moments.append((measured.groups, measured.moments))

    def total(self) -> FeatureCounts:
        """Everything counted so far."""
        bins = self._counts.copy()
        for group, histogram in self._histograms.items():
            cells = histogram.view(flow=True).astype(np.int64)
            bins[group, [BELOW, ABOVE]] += cells[[0, -1]]
            bins[group, FIRST_RANGE:] += self._bins.bin_counts(cells[1:-1])
        return FeatureCounts(bins, Moments.combined(self._moments, len(bins)))


@dataclass(frozen=True, slots=True)
class ScoreCounts:
    """Predictions, sums of their finite scores and predictions at the cut per group and score bin, shape (groups, bin_count).

    A prediction is at the cut if its score is at least the decision cut; `at_cut` is None for a version without one.
    """

    rows: Counts
    sums: Floats
    at_cut: Counts | None = None

    @classmethod
    def empty(cls, shape: tuple[int, int], *, has_cut: bool) -> ScoreCounts:
        """Counts of nothing."""
        return cls(np.zeros(shape, np.int64), np.zeros(shape), np.zeros(shape, np.int64) if has_cut else None)

    def __add__(self, other: ScoreCounts) -> ScoreCounts:
        at_cut = None if self.at_cut is None or other.at_cut is None else self.at_cut + other.at_cut
        return ScoreCounts(self.rows + other.rows, self.sums + other.sums, at_cut)

    def columns(self) -> dict[str, NDArray[Any]]:
        """Columns of prediction_profile, each of shape (pairs of group and bin that have rows,)."""
        groups, bin_ids = np.nonzero(self.rows)
        pairs = groups, bin_ids
        at_cut = np.full(len(groups), None) if self.at_cut is None else self.at_cut[pairs]
        return {
            "group": groups,
            "bin_id": bin_ids,
            "row_count": self.rows[pairs],
            "score_sum": self.sums[pairs],
            "at_cut_count": at_cut,
        }

    @classmethod
    def combined(cls, parts: Sequence[ScoreCounts]) -> ScoreCounts:
        """Everything counted in all parts, added in their order, because the last digits of sums depend on it."""
        return reduce(add, parts)


class ScoreAccumulator:
    """Counts predictions by score bin; predictions of a version without scores count as missing."""

    def __init__(
        self, bins: FeatureBins | None, group_counts: Sequence[int], cut: float | None = None, *, divisor: int = 1
    ) -> None:
        self._bins = bins
        self._cut = cut
        self._divisor = divisor
        width = bins.bin_count if bins else 1
        self._totals = [ScoreCounts.empty((n, width), has_cut=cut is not None) for n in group_counts]

    def add_values(self, scores: Floats, groupings: Sequence[Grouping]) -> None:
        """Count scores, shape (rows,), nan being missing."""
        if self._divisor != 1:
            scores = scores / self._divisor
        bin_ids = self._bins.bin_ids(scores) if self._bins else np.zeros(len(scores), dtype=np.int32)
        weights = np.where(np.isfinite(scores), scores, 0.0)
        is_at_cut = None if self._cut is None else scores >= self._cut
        for i, (total, grouping) in enumerate(zip(self._totals, groupings, strict=True)):
            shape, size = total.rows.shape, total.rows.size
            keys = _pair_keys(grouping, grouping.ordered(bin_ids), shape[1])
            rows = np.bincount(keys, minlength=size)
            sums = np.bincount(keys, grouping.ordered(weights), size).astype(np.float64, copy=False)
            at_cut = None
            if is_at_cut is not None:
                at_cut = np.bincount(keys[grouping.ordered(is_at_cut)], minlength=size).reshape(shape)
            self._totals[i] += ScoreCounts(rows.reshape(shape), sums.reshape(shape), at_cut)

    def counts(self) -> list[ScoreCounts]:
        """Everything counted so far, per grouping."""
        return list(self._totals)


@dataclass(frozen=True, slots=True)
class ClassCounts:
    """Predictions per group and predicted class, only for pairs that have rows."""

    rows: Mapping[tuple[int, str], int]

    @classmethod
    def combined(cls, parts: Sequence[ClassCounts]) -> ClassCounts:
        """Everything counted in all parts."""
        rows: Counter[tuple[int, str]] = Counter()
        for part in parts:
            rows.update(part.rows)
        return cls(rows)

    def columns(self) -> dict[str, Any]:
        """Columns of class_profile, each of shape (pairs,)."""
        pairs = sorted(self.rows)
        return {
            "group": np.array([group for group, _ in pairs], np.int64),
            "predicted_class": pa.array([name for _, name in pairs], pa.string()),
            "row_count": np.array([self.rows[pair] for pair in pairs], np.int64),
        }


class ClassAccumulator:
    """Counts predictions by their class; those without one are in the class (missing)."""

    def __init__(self, grouping_count: int) -> None:
        self._totals: list[Counter[tuple[int, str]]] = [Counter() for _ in range(grouping_count)]

    def add_categories(self, positions: Indices, names: Sequence[str | None], groupings: Sequence[Grouping]) -> None:
        """Count rows of an encoded column, shape (rows,), positions and names as `values.encode` gives them."""
        classes = [NO_CLASS if name is None else name for name in (*names, None)]
        for total, grouping in zip(self._totals, groupings, strict=True):
            keys, rows = np.unique(_pair_keys(grouping, grouping.ordered(positions), len(classes)), return_counts=True)
            for key, count in zip(keys.tolist(), rows.tolist(), strict=True):
                group, position = divmod(key, len(classes))
                total[group, classes[position]] += count

    def counts(self) -> list[ClassCounts]:
        """Everything counted so far, per grouping."""
        return [ClassCounts(total) for total in self._totals]


@dataclass(frozen=True, slots=True)
class LatencyCounts:
    """Rows per pair of group and latency bin, each of shape (pairs,), ascending, only for pairs that have rows."""

    pair_keys: NDArray[np.int64]
    rows: Counts

    @classmethod
    def of(cls, pair_keys: NDArray[np.int64], rows: Counts | None = None) -> LatencyCounts:
        """Counts of pairs in any order; `rows` is the number of rows of each, shape (n,), by default one."""
        if rows is None:
            # sorting is several times faster when the original positions are not needed
            return cls(*np.unique(pair_keys, return_counts=True))
        distinct, places = np.unique(pair_keys, return_inverse=True)
        return cls(distinct, np.bincount(places, rows, minlength=len(distinct)).astype(np.int64))

    @classmethod
    def combined(cls, parts: Sequence[LatencyCounts]) -> LatencyCounts:
        """Everything counted in all parts."""
        keys, rows = (
            np.concatenate([np.empty(0, np.int64), *(getattr(part, name) for part in parts)])
            for name in ("pair_keys", "rows")
        )
        return cls.of(keys, rows)

    def columns(self) -> dict[str, NDArray[Any]]:
        """Columns of service_profile, each of shape (pairs,)."""
        bin_ids = self.pair_keys % _LATENCY_BINS + _LOWEST_LATENCY_BIN
        return {
            "group": self.pair_keys // _LATENCY_BINS,
            "bin_id": bin_ids,
            "lower_ms": LATENCY_WIDTH**bin_ids,
            "upper_ms": LATENCY_WIDTH ** (bin_ids + 1),
            "row_count": self.rows,
        }


class LatencyAccumulator:
    """Counts latencies in bins of one per cent relative width; negative values and nan are left out."""

    def __init__(self, grouping_count: int) -> None:
        self._parts: list[list[LatencyCounts]] = [[] for _ in range(grouping_count)]

    def add_values(self, latencies_ms: Floats, groupings: Sequence[Grouping]) -> None:
        """Count latencies in milliseconds, shape (rows,)."""
        with np.errstate(invalid="ignore"):
            is_latency = np.isfinite(latencies_ms) & (latencies_ms >= 0)
            logarithms = np.log(np.maximum(latencies_ms, SHORTEST_LATENCY_MS)) / math.log(LATENCY_WIDTH)
        bins = np.floor(np.where(is_latency, logarithms, 0.0)).astype(np.int64)
        for parts, grouping in zip(self._parts, groupings, strict=True):
            is_counted, ids = grouping.ordered(is_latency), grouping.ordered(bins)
            keys = _pair_keys(grouping, ids - _LOWEST_LATENCY_BIN, _LATENCY_BINS)
            parts.append(LatencyCounts.of(keys[is_counted]))

    def counts(self) -> list[LatencyCounts]:
        """Everything counted so far, per grouping."""
        return [LatencyCounts.combined(parts) for parts in self._parts]


# floor(ln(value) / ln(1.01)) of the shortest latency and, roughly, of the largest float
_LOWEST_LATENCY_BIN = math.floor(math.log(SHORTEST_LATENCY_MS) / math.log(LATENCY_WIDTH))
_LATENCY_BINS = 100_000


def count_column(
    column: Column, bins: FeatureBins, grouping: Grouping | None = None, group_count: int = 1
) -> FeatureCounts:
    """Count a whole column, as one group unless a grouping of its rows is given."""
    accumulator = FeatureAccumulator(bins, [group_count])
    groupings = [grouping or Grouping.single(len(column))]
    if bins.grid is None:
        accumulator.add_categories(*encode(column), groupings)
    else:
        accumulator.add_values(float_values(column), groupings)
    [counts] = accumulator.counts()
    return counts


def _pair_keys(grouping: Grouping, bin_ids: Indices, width: int) -> NDArray[np.int64]:
    """The number of the pair of group and bin of each row; rows are sorted by group."""
    if len(grouping.groups) == 1:
        return grouping.groups * width + bin_ids
    keys: NDArray[np.int64] = np.repeat(grouping.groups * width, grouping.sizes) + bin_ids
    return keys
