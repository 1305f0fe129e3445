"""Cumulative daily counts of a group of predictions; any window or reference is a difference of two of them.

Not here: the comparison (`driftlake.drift.comparison`), and which segment shifted (`driftlake.drift.attribution`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from driftlake.config import OtherVersion, ReferenceSetting
from driftlake.drift.windows import EVERY_DAY, Buckets, OpenDays, Span, reference_name, reference_spans
from driftlake.lake.grouping import grouped
from driftlake.lineage.versions import SCORE, ModelVersion
from driftlake.maths.arrays import Counts, Floats, Indices
from driftlake.maths.binning import FIRST_RANGE, FeatureBins
from driftlake.maths.drift_statistics import Kind, Sides
from driftlake.maths.segments import ALL

GROUP = ("model_id", "model_version", "deployment", "segment")
Group = tuple[str, ...]
# the deployment in which another version is used as a reference
_PRODUCTION = "production"


def ordered_groups(groups: Iterable[Group]) -> list[Group]:
    """Distinct groups in the order of their columns, all rows together before the segments."""
    return sorted(set(groups), key=lambda group: (*group[:-1], group[-1] != ALL, group[-1]))


def groups_table(groups: Sequence[Group]) -> pa.Table:
    """Distinct groups with their positions, for queries."""
    columns = list(zip(*groups, strict=True)) or [()] * len(GROUP)
    named = {name: pa.array(values, pa.string()) for name, values in zip(GROUP, columns, strict=True)}
    return pa.table({"group_id": pa.array(range(len(groups)), pa.int32()), **named})


def features_table(versions: Iterable[ModelVersion], features: Collection[str] | None = None) -> pa.Table:
    """The features of some versions and their scores with their positions, for queries; `features` are those that are wanted."""
    rows = [
        (version.model_id, version.model_version, name, place)
        for version in versions
        for name, place in feature_ids(version).items()
        if features is None or name in features
    ]
    model_ids, model_versions, names, places = zip(*rows, strict=True) if rows else ((), (), (), ())
    return pa.table(
        {
            "model_id": pa.array(model_ids, pa.string()),
            "model_version": pa.array(model_versions, pa.string()),
            "feature": pa.array(names, pa.string()),
            "feature_id": pa.array(places, pa.int32()),
        }
    )


def feature_ids(version: ModelVersion) -> dict[str, int]:
    """Positions of the features of a version, and of its score after them, as queries have them."""
    return {name: place for place, name in enumerate([*version.features, SCORE])}


def _by_group(rows: pa.Table, groups: Sequence[Group]) -> dict[Group, pa.Table]:
    return {groups[group_id]: of_group for (group_id,), of_group in grouped(rows, ["group_id"]).items()}


@dataclass(frozen=True)
class Profiles:
    """Counts and days with values of every group per bucket, and the registered versions, whose bins the counts use."""

    counts: Mapping[Group, pa.Table]
    day_counts: Mapping[Group, pa.Table]
    buckets: Buckets
    versions: Mapping[tuple[str, str], ModelVersion]
    open_days: OpenDays = EVERY_DAY

    @classmethod
    def of(
        cls,
        counts: pa.Table,
        day_counts: pa.Table,
        groups: Sequence[Group],
        buckets: Buckets,
        versions: Mapping[tuple[str, str], ModelVersion],
        open_days: OpenDays = EVERY_DAY,
    ) -> Profiles:
        """From the rows of sql/drift/bucket_counts.sql and sql/drift/bucket_days.sql for some groups, which are in order."""
        return cls(_by_group(counts, groups), _by_group(day_counts, groups), buckets, versions, open_days)

    def version(self, group: Group) -> ModelVersion:
        """The version of a group."""
        return self.versions[group[0], group[1]]

    def segments(self, group: Group) -> list[str]:
        """Segments that have predictions in the deployment of a group."""
        return [counted[-1] for counted in self.counts if counted[:-1] == group[:-1]]

    def has(self, reference: ReferenceSetting, group: Group) -> bool:
        """Whether a reference applies to a group: another version must belong to the same model and must not be the group's own."""
        if not isinstance(reference, OtherVersion):
            return True
        return reference.model_version != group[1] and (group[0], reference.model_version) in self.versions


@dataclass(frozen=True, slots=True)
class Window:
    """Sums over one span for each of some days: counts of shape (days, features, bins), days with values likewise."""

    counts: Counts
    day_count: Counts


@dataclass(frozen=True)
class History:
    """Counts of one (model version, deployment, segment), summed up to each edge of the buckets."""

    profiles: Profiles
    group: Group
    features: Sequence[str]
    bins: Sequence[FeatureBins | None]
    counts: Counts  # shape (edges, features, bins)
    day_counts: Counts  # shape (edges, features)
    training: Counts  # shape (features, bins)

    @classmethod
    def of(cls, profiles: Profiles, group: Group, features: Sequence[str]) -> History:
        """The history of some features, or of the score, of a group; a group without predictions has no counts."""
        version = profiles.version(group)
        bins = [version.bins_of(name) for name in features]
        width = max([FIRST_RANGE + 1, *(feature_bins.bin_count for feature_bins in bins if feature_bins is not None)])
        edges = len(profiles.buckets.edges)
        counts, day_counts = (tables.get(group) for tables in (profiles.counts, profiles.day_counts))
        places = _places(features, version)
        return cls(
            profiles,
            group,
            features,
            bins,
            _cumulative((edges, len(features), width), counts, places, ("bin_id",), "row_count"),
            _cumulative((edges, len(features)), day_counts, places, (), "day_count"),
            _training(features, bins, version, group[-1], width),
        )

    def window(self, spans: Sequence[Span]) -> Window:
        """Sums over each of some spans."""
        buckets = self.profiles.buckets
        return Window(buckets.sums(spans, self.counts), buckets.sums(spans, self.day_counts))

    def reference(self, reference: ReferenceSetting, windows: Sequence[Span]) -> Reference:
        """What each window is compared with."""
        if reference == "training":
            return Reference("training", self.training[np.newaxis])
        source, obstacles = self._other(reference) if isinstance(reference, OtherVersion) else (self, {})
        spans = [reference_spans(reference, window) for window in windows]
        open_days = self.profiles.open_days
        whole, without = source.window([span.whole for span in spans]), source.window([span.without for span in spans])
        return Reference(
            reference_name(reference),
            whole.counts - without.counts,
            whole.day_count - without.day_count,
            open_days.count([span.whole for span in spans]) - open_days.count([span.without for span in spans]),
            obstacles,
        )

    def _other(self, reference: OtherVersion) -> tuple[History, Mapping[str, NDArray[np.bool_]]]:
        """The same segment of another version in production, in the bins of this version, and why features cannot be compared."""
        group = other_group(self.group, reference)
        version = self.profiles.version(group)
        places = {
            name: own.places_in(other)
            for name, own in zip(self.features, self.bins, strict=True)
            if own is not None and (other := version.bins_of(name)) is not None
        }
        shared = {name: ids for name, ids in places.items() if ids is not None}
        is_counted = np.array([own is not None for own in self.bins])
        obstacles = {
            f"version {reference.model_version} does not have the feature": _lacking(self.features, places)
            & is_counted,
            f"version {reference.model_version} has other bins": _lacking(self.features, shared) & is_counted,
        }
        history = History.of(self.profiles, group, list(shared))
        return self._rebinned(history, shared), obstacles

    def _rebinned(self, other: History, places: Mapping[str, Indices]) -> History:
        """Counts of `other` in the bins of this version; `places` are the bins of `other` for each of them."""
        counts, day_counts = np.zeros_like(self.counts), np.zeros_like(self.day_counts)
        for position, (name, ids) in enumerate(places.items()):
            place = self.features.index(name)
            counts[:, place, : len(ids)] = other.counts[:, position, ids]
            day_counts[:, place] = other.day_counts[:, position]
        return replace(self, group=other.group, counts=counts, day_counts=day_counts)

    def alive_days(self, days: Sequence[date], longest_window: int) -> list[date]:
        """Those of `days` on which the longest window has a prediction."""
        rows = self.profiles.buckets.sums(
            [Span.window(day, longest_window) for day in days], self.counts.sum(axis=(1, 2))
        )
        return [days[position] for position in np.flatnonzero(rows).tolist()]

    def places(self, kinds: Sequence[Kind]) -> NDArray[np.int64]:
        """Positions of the features of some kinds; a score counts as a number."""
        own = [
            "categorical" if feature_bins is not None and feature_bins.grid is None else "numeric"
            for feature_bins in self.bins
        ]
        return np.array([position for position, kind in enumerate(own) if kind in kinds], dtype=np.int64)

    def coarse(self, counts: Counts) -> Counts:
        """Counts of shape (days, features, bins) per coarse bin."""
        return _coarse(self.bins, counts)

    def sides(self, kind: Kind, current: Counts, reference: Counts, smoothing: float) -> Sides:
        """Counts of the features of a kind, out of those of shape (days, features, bins), as the statistics take them."""
        places = self.places([kind])
        bins = [self.bins[place] for place in places.tolist()]
        current, reference = current[:, places], reference[:, places]
        ends = _ends(bins, current.shape[-1] - FIRST_RANGE)
        return Sides(current, reference, _coarse(bins, current), _coarse(bins, reference), ends, smoothing)

    def of_segment(self, segment: str) -> History:
        """The history of another segment, which may have no predictions."""
        return History.of(self.profiles, (*self.group[:-1], segment), self.features)


def other_group(group: Group, reference: OtherVersion) -> Group:
    """The group of another version with which a group is compared."""
    return (group[0], reference.model_version, _PRODUCTION, group[-1])


@dataclass(frozen=True, slots=True)
class Reference:
    """What windows are compared with: counts of shape (days or 1, features, bins).

    `day_count` are its days with values, shape (days, features), of `length`, shape (days,), that it could have; None for
    training data. `obstacles` say of which features, shape (features,), it has nothing, and why.
    """

    name: str
    counts: Counts
    day_count: Counts | None = None
    length: Counts | None = None
    obstacles: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)


@dataclass(frozen=True)
class Stack:
    """Histories of several groups with as many features and bins: `whole` has the features of one after those of another."""

    histories: Sequence[History]
    whole: History

    @classmethod
    def of(cls, histories: Sequence[History]) -> Stack:
        """Stack at least one history."""
        first = histories[0]
        whole = replace(
            first,
            features=[name for history in histories for name in history.features],
            bins=[bins for history in histories for bins in history.bins],
            counts=np.concatenate([history.counts for history in histories], axis=1),
            day_counts=np.concatenate([history.day_counts for history in histories], axis=1),
            training=np.concatenate([history.training for history in histories]),
        )
        return cls(histories, whole)

    @property
    def groups(self) -> list[Group]:
        """The groups in their order."""
        return [history.group for history in self.histories]

    @property
    def features_per_group(self) -> int:
        """Features of each group."""
        return len(self.histories[0].features)

    def reference(self, reference: ReferenceSetting, windows: Sequence[Span]) -> Reference:
        """What each window of every feature is compared with."""
        if not isinstance(reference, OtherVersion):
            return self.whole.reference(reference, windows)
        found = [history.reference(reference, windows) for history in self.histories]
        return replace(
            found[0],
            counts=np.concatenate([each.counts for each in found], axis=1),
            day_count=np.concatenate([each.day_count for each in found if each.day_count is not None], axis=1),
            obstacles={
                reason: np.concatenate([each.obstacles[reason] for each in found]) for reason in found[0].obstacles
            },
        )


def _lacking(features: Sequence[str], found: Mapping[str, object]) -> NDArray[np.bool_]:
    return np.array([name not in found for name in features])


def _places(features: Sequence[str], version: ModelVersion) -> NDArray[np.int64]:
    """Position among some features of every feature of a version, and of its score, -1 for others."""
    ids = feature_ids(version)
    places = np.full(len(ids), -1)
    places[[ids[name] for name in features]] = np.arange(len(features))
    return places


def _cumulative(
    shape: tuple[int, ...],
    rows: pa.Table | None,
    places: NDArray[np.int64],
    further: Sequence[str],
    value: str,
) -> Counts:
    """Sum rows by bucket, feature and `further` columns, then cumulate the sums over the edges of the buckets."""
    totals = np.zeros(shape, dtype=np.int64)
    if rows is None:
        return totals
    features = places[rows["feature_id"].to_numpy()]
    is_wanted = features >= 0
    # the rows of a bucket are included from its end on
    index = (rows["bucket"].to_numpy() + 1, features, *(rows[name].to_numpy() for name in further))
    index, values = tuple(part[is_wanted] for part in index), rows[value].to_numpy()[is_wanted]
    # several times faster by one number than by several
    np.add.at(totals.ravel(), np.ravel_multi_index(index, shape), values)
    np.cumsum(totals, axis=0, out=totals)
    return totals


def _training(
    features: Sequence[str], bins: Sequence[FeatureBins | None], version: ModelVersion, segment: str, width: int
) -> Counts:
    """Training counts of a segment, shape (features, width)."""
    training = np.zeros((len(features), width), dtype=np.int64)
    for position, (name, feature_bins) in enumerate(zip(features, bins, strict=True)):
        reference = version.reference_of(name, segment)
        if feature_bins is not None and reference is not None:
            training[position, : len(reference)] = reference
    return training


def _coarse(bins: Sequence[FeatureBins | None], counts: Counts) -> Counts:
    ids = np.zeros((len(bins), counts.shape[-1]), dtype=np.int64)
    for position, feature_bins in enumerate(bins):
        if feature_bins is not None:
            ids[position, : feature_bins.bin_count] = feature_bins.coarse_ids
    merge = (ids[..., np.newaxis] == np.arange(ids.max(initial=0) + 1)).astype(np.int64)
    merged: Counts = np.einsum("dfb,fbc->dfc", counts, merge)
    return merged


def _ends(bins: Sequence[FeatureBins | None], count: int) -> Floats:
    """Ends of the range bins, shape (features, count, 2); the last value is repeated where a feature has fewer."""
    ends = np.full((len(bins), count, 2), np.nan)
    for position, feature_bins in enumerate(bins):
        if feature_bins is not None and feature_bins.grid is not None:
            known = feature_bins.ends
            ends[position] = known[-1, 1]
            ends[position, : len(known)] = known
    return ends
