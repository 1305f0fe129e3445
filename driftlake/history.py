"""Daily counts of a group of predictions, summed up so that any window or reference is a difference.

Not here: what a window is compared by (drift.py) and which segment moved it (attribution.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from driftlake.arrays import Counts, Floats
from driftlake.binning import FIRST_RANGE, FeatureBins
from driftlake.config import Period, ReferenceKind
from driftlake.statistics import Kind, Sides
from driftlake.versions import SCORE, ModelVersion
from driftlake.windows import Buckets, Span, reference_name, reference_spans

GROUP = ("model_id", "model_version", "deployment", "segment")


def by_group(table: pa.Table) -> Iterator[tuple[tuple[str, ...], pa.Table]]:
    """Each group with its rows, which lie together."""
    if not table.num_rows:
        return
    keys = [table[name].combine_chunks().dictionary_encode() for name in GROUP]
    codes = np.stack([key.indices.to_numpy() for key in keys])
    starts = np.flatnonzero(np.any(np.diff(codes, axis=1, prepend=-1) != 0, axis=0)).tolist()
    for start, end in zip(starts, [*starts[1:], table.num_rows], strict=True):
        yield tuple(table[name][start].as_py() for name in GROUP), table.slice(start, end - start)


@dataclass(frozen=True, slots=True)
class Window:
    """Sums over one span for each of some days: counts of shape (days, features, bins), days with values likewise."""

    counts: Counts
    day_count: Counts


@dataclass(frozen=True)
class History:
    """Counts of one (model version, deployment, segment), summed up to each edge of the buckets."""

    group: tuple[str, ...]
    features: Sequence[str]
    bins: Sequence[FeatureBins | None]
    counts: Counts  # shape (edges, features, bins)
    day_counts: Counts  # shape (edges, features)
    training: Counts  # shape (features, bins)
    buckets: Buckets

    @classmethod
    def of(
        cls,
        group: tuple[str, ...],
        features: Sequence[str],
        counts: pa.Table,
        day_counts: pa.Table,
        buckets: Buckets,
        version: ModelVersion,
    ) -> History:
        """From the rows of sql/bucket_counts.sql and sql/bucket_days.sql of the group."""
        bins = [version.score_bins if name == SCORE else version.features[name] for name in features]
        width = max(FIRST_RANGE + 1, *(one.bin_count for one in bins if one is not None))
        edges = len(buckets.edges)
        return cls(
            group,
            features,
            bins,
            _cumulative((edges, len(features), width), counts, features, ("bin_id",), "row_count"),
            _cumulative((edges, len(features)), day_counts, features, (), "day_count"),
            _training(features, bins, version, group[-1], width),
            buckets,
        )

    def window(self, spans: Sequence[Span]) -> Window:
        """Sums over each of some spans."""
        return Window(self.buckets.sums(spans, self.counts), self.buckets.sums(spans, self.day_counts))

    def reference(self, reference: ReferenceKind | Period, windows: Sequence[Span]) -> Reference:
        """What each window is compared with."""
        if reference == "training":
            return Reference("training", self.training[np.newaxis])
        spans = [reference_spans(reference, window) for window in windows]
        whole, without = self.window([one.whole for one in spans]), self.window([one.without for one in spans])
        return Reference(
            reference_name(reference),
            whole.counts - without.counts,
            whole.day_count - without.day_count,
            np.array([one.day_count for one in spans]),
        )

    def alive_days(self, days: Sequence[date], longest_window: int) -> list[date]:
        """Those of `days` on which the longest window has a prediction."""
        window = self.window([Span.window(day, longest_window) for day in days])
        return [days[position] for position in np.flatnonzero(window.counts.any(axis=(1, 2))).tolist()]

    def places(self, kinds: Sequence[Kind]) -> NDArray[np.int64]:
        """Positions of the features of some kinds; a score counts as a number."""
        own = ["categorical" if one is not None and one.grid is None else "numeric" for one in self.bins]
        return np.array([position for position, kind in enumerate(own) if kind in kinds], dtype=np.int64)

    def coarse(self, counts: Counts) -> Counts:
        """Counts of shape (days, features, bins) per coarse bin."""
        return _coarse(self.bins, counts)

    def sides(self, kind: Kind, current: Counts, reference: Counts, smoothing: float) -> Sides:
        """Counts of the features of a kind, out of those of shape (days, features, bins), as the statistics take them."""
        places = self.places([kind])
        bins = [self.bins[place] for place in places.tolist()]
        current, reference = current[:, places], reference[:, places]
        borders = _borders(bins, current.shape[-1] - 2)
        return Sides(current, reference, _coarse(bins, current), _coarse(bins, reference), borders, smoothing)

    def emptied(self, segment: str, version: ModelVersion) -> History:
        """The same without predictions, for a segment that only the training data has."""
        training = _training(self.features, self.bins, version, segment, self.training.shape[-1])
        return replace(
            self,
            group=(*self.group[:-1], segment),
            counts=np.zeros_like(self.counts),
            day_counts=np.zeros_like(self.day_counts),
            training=training,
        )


@dataclass(frozen=True, slots=True)
class Reference:
    """What windows are compared with: counts of shape (days or 1, features, bins).

    `day_count` are its days with values, shape (days, features), of `length`, shape (days,), that it could have; None for
    training data.
    """

    name: str
    counts: Counts
    day_count: Counts | None = None
    length: Counts | None = None


def _cumulative(
    shape: tuple[int, ...], rows: pa.Table, features: Sequence[str], further: Sequence[str], value: str
) -> Counts:
    """Rows added up at their place (bucket, feature, `further` columns) and then from each edge to the next."""
    positions = pc.index_in(rows["feature"], pa.array(features, pa.string())).combine_chunks()
    is_wanted = positions.is_valid()
    rows, positions = rows.filter(is_wanted), positions.filter(is_wanted).to_numpy()
    totals = np.zeros(shape, dtype=np.int64)
    # what lies in a bucket is counted from its end on
    place = (rows["bucket"].to_numpy() + 1, positions, *(rows[name].to_numpy() for name in further))
    np.add.at(totals, place, rows[value].to_numpy())
    np.cumsum(totals, axis=0, out=totals)
    return totals


def _training(
    features: Sequence[str], bins: Sequence[FeatureBins | None], version: ModelVersion, segment: str, width: int
) -> Counts:
    """Training counts of a segment, shape (features, width)."""
    training = np.zeros((len(features), width), dtype=np.int64)
    for position, (name, one) in enumerate(zip(features, bins, strict=True)):
        reference = version.reference_of(name, segment)
        if one is not None and reference is not None:
            training[position, : len(reference)] = reference
    return training


def _coarse(bins: Sequence[FeatureBins | None], counts: Counts) -> Counts:
    ids = np.zeros((len(bins), counts.shape[-1]), dtype=np.int64)
    for position, one in enumerate(bins):
        if one is not None:
            ids[position, : one.bin_count] = one.coarse_ids
    merge = (ids[..., np.newaxis] == np.arange(ids.max(initial=0) + 1)).astype(np.int64)
    merged: Counts = np.einsum("dfb,fbc->dfc", counts, merge)
    return merged


def _borders(bins: Sequence[FeatureBins | None], count: int) -> Floats:
    """Borders of the range bins, shape (features, count); the last one is repeated where a feature has fewer."""
    borders = np.full((len(bins), count), np.nan)
    for position, one in enumerate(bins):
        if one is not None and one.grid is not None:
            borders[position] = np.pad(one.borders, (0, count - len(one.borders)), mode="edge")
    return borders
