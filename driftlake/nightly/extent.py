"""How much the stages that read result tables process at once: passes of days, and pieces of groups within a pass.

A row that DuckDB groups, sorts and hands over in Arrow needs about `_BYTES_OF_ROW` in all. What is read at once is bounded
so that these bytes stay below `compute.memory_limit`, whatever the number of days, features, versions and segments. Not
here: what is computed (`driftlake.drift.comparison`, `driftlake.quality.measures`), and reading it
(`driftlake.nightly.drift_passes`, `driftlake.nightly.derived`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from typing import Protocol, Self, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from driftlake.config import DriftSettings, OtherVersion, Settings
from driftlake.drift.bucket_history import GROUP, Group, other_group
from driftlake.drift.comparison import buckets_of
from driftlake.drift.windows import Buckets, Span
from driftlake.inputs.partitions import days_between
from driftlake.lake.grouping import grouped
from driftlake.lake.warehouse import Warehouse
from driftlake.lineage.versions import ModelVersion
from driftlake.maths.arrays import Counts
from driftlake.maths.binning import FeatureBins
from driftlake.maths.segments import ALL
from driftlake.profiles.pair_counts import labels_in_pairs
from driftlake.quality.labelled_windows import CLASS_SCORE_BINS

Key = TypeVar("Key")

# Estimated for a row of five texts and some numbers: 130 bytes in a hash table, as many sorted, 100 in Arrow, and
# copies.
_BYTES_OF_ROW = 500
# A row of feature_drift is in memory until its days are committed, and twice during the commit.
_BYTES_OF_FOUND_ROW = 400
# Results stay in memory while more rows are read, so they get a share of it.
_SHARE_OF_FOUND = 0.25
# A row of importance_windows becomes a dictionary and gives three result rows.
_ROWS_OF_EXPLAINED = 5


def passes(days: Sequence[date], fits: Callable[[Sequence[date]], bool]) -> list[Sequence[date]]:
    """Days in consecutive passes, each of which fits or is a single day. Passes are halved, so that they are of similar size."""
    if len(days) <= 1 or fits(days):
        return [days] if days else []
    middle = len(days) // 2
    return [*passes(days[:middle], fits), *passes(days[middle:], fits)]


def pieces(sizes: Mapping[Key, int], most: int) -> list[list[Key]]:
    """Consecutive keys in pieces with a total size of at most `most`; a larger key is a piece by itself."""
    found: list[list[Key]] = []
    size = most
    for key, own in sizes.items():
        if not found or size + own > most:
            found.append([])
            size = 0
        found[-1].append(key)
        size += own
    return found


def rows_at_once(settings: Settings) -> int:
    """Rows that may be read at once."""
    return int(settings.compute.memory_bytes / _BYTES_OF_ROW)


@dataclass(frozen=True)
class Predictions:
    """Predictions of every group and day, shape (groups, days), which limit the number of rows."""

    groups: Sequence[Group]
    first_day: date
    counts: Counts

    @classmethod
    def read(cls, warehouse: Warehouse, days: pa.Table) -> Self:
        """Read the predictions of the days of buckets, as in `Buckets.days`."""
        with warehouse.registered(buckets=days):
            return cls.of(warehouse.query("nightly/group_predictions"), days["dt"][0].as_py(), days["dt"][-1].as_py())

    @classmethod
    def of(cls, rows: pa.Table, first_day: date, last_day: date) -> Self:
        """Build them from rows of sql/nightly/group_predictions.sql of the days from `first_day` to `last_day`."""
        found = list(grouped(rows, GROUP).items())
        counts = np.zeros((len(found), (last_day - first_day).days + 1), dtype=np.int64)
        for place, (_, of_group) in enumerate(found):
            counts[place, _places(of_group["dt"], first_day)] = of_group["row_count"].to_numpy()
        return cls([group for group, _ in found], first_day, counts)

    def of_buckets(self, days: pa.Table) -> Counts:
        """Predictions per bucket, shape (groups, buckets); `days` as in `Buckets.days`."""
        buckets = days["bucket"].to_numpy()
        sums = np.zeros((len(self.groups), int(buckets.max(initial=-1)) + 1), dtype=np.int64)
        np.add.at(sums.T, buckets, self.counts[:, _places(days["dt"], self.first_day)].T)
        return sums

    def of_windows(self, days: Sequence[date], length: int) -> Counts:
        """Predictions of the windows that end with some days, shape (groups, days)."""
        sums = np.insert(np.cumsum(self.counts, axis=1), 0, 0, axis=1)
        ends = np.array([(day - self.first_day).days + 1 for day in days])
        windows: Counts = sums[:, ends] - sums[:, np.maximum(ends - length, 0)]
        return windows


def _places(days: pa.ChunkedArray, first_day: date) -> NDArray[np.int64]:
    places: NDArray[np.int64] = days.to_numpy().astype("datetime64[D]").astype(np.int64)
    return places - (first_day - date(1970, 1, 1)).days


def _bin_count(bins: FeatureBins | None) -> int:
    return bins.bin_count if bins else 1


def _occupied(bin_counts: Sequence[int], predictions: Counts) -> Counts:
    """Number of bins that can have rows, summed over features: limited by the bins of a feature and by the predictions."""
    ordered = np.sort(np.array(bin_counts, dtype=np.int64))
    sums = np.insert(np.cumsum(ordered), 0, 0)
    smaller = np.searchsorted(ordered, predictions, side="right")
    occupied: Counts = sums[smaller] + (len(ordered) - smaller) * predictions
    return occupied


class Extent(Protocol):
    """How much memory a stage needs for some days."""

    def fits(self, days: Sequence[date]) -> bool:
        """Whether the days can be one pass."""


class Unbounded:
    """The extent of a stage that needs the same memory for one day as for many."""

    def __init__(self, settings: Settings, days: Sequence[date]) -> None:
        pass

    def fits(self, _days: Sequence[date]) -> bool:
        """Always true."""
        return True


@dataclass(frozen=True)
class DriftExtent:
    """Rows that the drift stage reads and writes for some days."""

    predictions: Predictions
    versions: Mapping[tuple[str, str], ModelVersion]
    settings: Settings

    @classmethod
    def read(
        cls,
        warehouse: Warehouse,
        settings: Settings,
        versions: Mapping[tuple[str, str], ModelVersion],
        days: Sequence[date],
    ) -> Self:
        """Read the extent of everything that the comparison of `days` may use."""
        wanted = buckets_of(days_between(days[0], days[-1]), settings.drift).days()
        return cls(Predictions.read(warehouse, wanted), versions, settings)

    @cached_property
    def rows_at_once(self) -> int:
        """Rows that may be read at once."""
        return rows_at_once(self.settings)

    def fits(self, days: Sequence[date]) -> bool:
        """Whether the days can be one pass: the results fit in memory, and so do the rows that cannot be read in pieces."""
        span = days_between(days[0], days[-1])
        undivided = [
            *self.read_rows(span).values(),
            *self.explained_rows(span).values(),
            *self.sampled_rows(span).values(),
            self._pair_rows(span),
        ]
        found_bytes = self._found_rows(span) * _BYTES_OF_FOUND_ROW
        largest = self.settings.compute.memory_bytes * _SHARE_OF_FOUND
        return max(undivided) <= self.rows_at_once and found_bytes <= largest

    def read_rows(self, days: Sequence[date]) -> dict[Group, int]:
        """Rows of sql/drift/bucket_counts.sql by group, including its counterparts in other versions."""
        predictions = self.predictions.of_buckets(buckets_of(days, self._drift).days())
        sizes = {}
        for group, of_group in zip(self.predictions.groups, predictions, strict=True):
            version = self.versions[group[0], group[1]]
            # a version without scores has its predictions in one bin
            bins = [
                *(feature_bins.bin_count for feature_bins in version.features.values()),
                _bin_count(version.score_bins),
            ]
            sizes[group] = int(_occupied(bins, of_group).sum())
        return {
            group: size + sum(sizes.get(counterpart, 0) for counterpart in self.counterparts(group))
            for group, size in sizes.items()
        }

    def counterparts(self, group: Group) -> list[Group]:
        """Groups of other versions that a group is compared with."""
        others = (reference for reference in self._drift.references if isinstance(reference, OtherVersion))
        return [found for other in others if (found := other_group(group, other)) != group]

    def explained_rows(self, days: Sequence[date]) -> dict[Group, int]:
        """Rows of sql/drift/importance_windows.sql by group, weighted by their memory."""
        if not self.settings.telemetry.shap:
            return {}
        alive = (self._of_longest_windows(days) > 0).sum(axis=1).tolist()
        return {
            group: count * len(self._drift.windows_days) * self._feature_count(group) * _ROWS_OF_EXPLAINED
            for group, count in zip(self.predictions.groups, alive, strict=True)
        }

    def sampled_rows(self, days: Sequence[date]) -> dict[Group, int]:
        """Rows of sql/drift/window_samples.sql by group, weighted by their memory; segments have none."""
        if self._drift.multivariate is None:
            return {}
        first_day = days[0] - timedelta(days=max(self._drift.windows_days) - 1)
        places = [(day - self.predictions.first_day).days for day in days_between(first_day, days[-1])]
        sampled = np.minimum(self.predictions.counts[:, places], self._drift.multivariate.sample_rows).sum(axis=1)
        return {
            # a bin is a number of four bytes, in DuckDB, in Arrow and in an array
            group: int(count) * (1 + self._feature_count(group) * 12 // _BYTES_OF_ROW)
            for group, count in zip(self.predictions.groups, sampled, strict=True)
            if group[-1] == ALL
        }

    def _pair_rows(self, days: Sequence[date]) -> int:
        rows = 0
        for group in self.predictions.groups:
            version = self.versions[group[0], group[1]]
            for pair in self.settings.pairs_of(group[0]) if group[-1] == ALL else ():
                if all(name in version.features for name in pair):
                    left_count, right_count = (len(labels_in_pairs(version.features[name])) for name in pair)
                    rows += left_count * right_count
        return rows * len(days) * len(self._drift.windows_days)

    def _found_rows(self, days: Sequence[date]) -> int:
        """Rows of feature_drift; rows of a segment are counted only if it can be judged."""
        predictions = self._of_longest_windows(days)
        statistics = max(len(self._drift.statistics.numeric), len(self._drift.statistics.categorical))
        of_feature = len(self._drift.windows_days) * len(self._drift.references) * statistics
        rows = 0
        for group, of_group in zip(self.predictions.groups, predictions, strict=True):
            needed = 1 if group[-1] == ALL else self._drift.minimum_rows
            rows += int((of_group >= needed).sum()) * self._feature_count(group) * of_feature
        return rows

    def _of_longest_windows(self, days: Sequence[date]) -> Counts:
        return self.predictions.of_windows(days, max(self._drift.windows_days))

    def _feature_count(self, group: Group) -> int:
        return len(self.versions[group[0], group[1]].features)

    @property
    def _drift(self) -> DriftSettings:
        return self.settings.drift


@dataclass(frozen=True)
class QualityExtent:
    """Rows that the stage of model quality reads for some days."""

    predictions: Predictions
    versions: Mapping[tuple[str, str], ModelVersion]
    settings: Settings

    @classmethod
    def read(
        cls,
        warehouse: Warehouse,
        settings: Settings,
        versions: Mapping[tuple[str, str], ModelVersion],
        days: Sequence[date],
    ) -> Self:
        """Read the extent of every window that ends with one of the days or between them."""
        longest = max(settings.quality.windows_days)
        every = Buckets.of([Span(Span.window(days[0], longest).first, days[-1] + timedelta(days=1))]).days()
        return cls(Predictions.read(warehouse, every), versions, settings)

    def fits(self, days: Sequence[date]) -> bool:
        """Whether the days can be one pass."""
        span = days_between(days[0], days[-1])
        rows = 0
        for length in self.settings.quality.windows_days:
            predictions = self.predictions.of_windows(span, length)
            for group, of_group in zip(self.predictions.groups, predictions, strict=True):
                rows += int(self._rows(self.versions[group[0], group[1]], of_group).sum())
        return rows <= rows_at_once(self.settings)

    @staticmethod
    def _rows(version: ModelVersion, predictions: Counts) -> Counts:
        """Rows per score bin of predictions and labels, and rows of classes; a window has at most one per prediction."""
        scores = np.minimum(predictions, _bin_count(version.score_bins))
        classes = len(version.classes)
        rows: Counts = (
            2 * scores + np.minimum(predictions, classes**2) + classes * np.minimum(predictions, CLASS_SCORE_BINS)
        )
        return rows
