"""How much of a feature's shift each segment explains: rows of segment_shift.

PSI is a sum over bins of (q - p) ln(q / p). The difference of the shares of the whole is the sum over the segments of
(their rows now over all rows now) - (their rows in the reference over all rows of it), so PSI can be divided among the
segments of a column. The part of a segment includes both ways in which it can shift the whole: its distribution
changes, or it becomes more or less frequent. Not here: which features shifted at all (`driftlake.drift.comparison`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from typing import Any

import numpy as np
import pyarrow as pa

from driftlake.config import DriftSettings, OtherVersion, ReferenceSetting
from driftlake.drift.bucket_history import Group, History, Profiles, other_group
from driftlake.drift.windows import Span, reference_name
from driftlake.lake.schema import arrow_schema
from driftlake.maths import divergence
from driftlake.maths.arrays import Counts, Floats
from driftlake.maths.segments import ALL

_DEPLOYMENT = ("model_id", "model_version", "deployment")


def segment_shift(
    shifted: pa.Table, profiles: Profiles, segment_columns: Sequence[str], settings: DriftSettings
) -> pa.Table:
    """Rows of segment_shift.

    Parameters
    ----------
    shifted : the comparisons to be explained: columns dt, model_id, model_version, deployment, feature, window_days, reference
    profiles : of their groups, as `drift.compare_windows` takes them
    """
    rows: list[dict[str, Any]] = []
    if segment_columns and shifted.num_rows:
        for whole in (group for group in profiles.counts if group[-1] == ALL):
            wanted = _rows_of(shifted, whole[:-1])
            histories = _histories(profiles, whole, sorted({row["feature"] for row in wanted})) if wanted else {}
            for key, of_window in groupby(wanted, key=lambda row: (row["window_days"], row["reference"])):
                comparison = _Comparison.of(*key, list(of_window), settings)
                for column in segment_columns:
                    rows += comparison.explained(histories, column, settings.smoothing)
    return pa.Table.from_pylist(rows, schema=arrow_schema("segment_shift"))


def _histories(profiles: Profiles, whole: Group, features: Sequence[str]) -> dict[str, History]:
    """By segment, the whole among them."""
    groups = [(*whole[:-1], segment) for segment in profiles.segments(whole)]
    return {group[-1]: History.of(profiles, group, features) for group in groups}


def _rows_of(shifted: pa.Table, deployment: tuple[str, ...]) -> list[dict[str, Any]]:
    rows = [row for row in shifted.to_pylist() if tuple(row[name] for name in _DEPLOYMENT) == deployment]
    return sorted(rows, key=lambda row: (row["window_days"], row["reference"], row["dt"], row["feature"]))


@dataclass(frozen=True, slots=True)
class _Comparison:
    """A window and a reference of some days, with the features to be explained."""

    days: Sequence[date]
    window_days: int
    reference: ReferenceSetting
    wanted: Sequence[Mapping[str, Any]]

    @classmethod
    def of(
        cls, window_days: int, reference: str, wanted: Sequence[Mapping[str, Any]], settings: DriftSettings
    ) -> _Comparison:
        [asked] = [setting for setting in settings.references if reference_name(setting) == reference]
        return cls(sorted({row["dt"] for row in wanted}), window_days, asked, wanted)

    def explained(self, histories: Mapping[str, History], column: str, smoothing: float) -> Iterator[dict[str, Any]]:
        """A row for each segment of a column and each day and feature to be explained."""
        parts = self._parts(histories, column, smoothing)
        # added one after the other, so that a total does not depend on the number of days and features
        total = sum((part.contribution for part in parts.values()), start=np.zeros(1))
        features = histories[ALL].features
        for row in self.wanted if parts else []:
            place = self.days.index(row["dt"]), features.index(row["feature"])
            for segment, part in parts.items():
                if part.current_count[place] or part.reference_count[place]:
                    yield {
                        **{name: row[name] for name in _KEY},
                        "segment_column": column,
                        "segment": segment,
                        "current_count": part.current_count[place],
                        "reference_count": part.reference_count[place],
                        "contribution": part.contribution[place],
                        "shift_share": part.contribution[place] / total[place],
                    }

    def _parts(self, histories: Mapping[str, History], column: str, smoothing: float) -> dict[str, _Part]:
        whole = histories[ALL]
        current, reference = self._coarse(whole)
        log_ratio = divergence.log_ratio(current, reference, smoothing)
        sizes = current.sum(axis=-1), reference.sum(axis=-1)
        return {
            name: _Part.of(*self._coarse(histories.get(name) or whole.of_segment(name)), *sizes, log_ratio)
            for name in self._segments(histories, column)
        }

    def _segments(self, histories: Mapping[str, History], column: str) -> list[str]:
        """Segments of a column on either side; none if the reference was not counted by this column."""
        profiles, group = histories[ALL].profiles, histories[ALL].group
        if self.reference == "training":
            elsewhere = list(profiles.version(group).segment_reference_counts)
        elif isinstance(self.reference, OtherVersion):
            elsewhere = profiles.segments(other_group(group, self.reference))
        else:
            elsewhere = list(histories)
        counted = [name for name in elsewhere if name.startswith(f"{column}=")]
        own = [name for name in histories if name.startswith(f"{column}=")]
        return list(dict.fromkeys([*own, *counted])) if counted else []

    def _coarse(self, history: History) -> tuple[Counts, Counts]:
        """Counts per coarse bin now and in the reference, shape (days, features, coarse bins)."""
        spans = [Span.window(day, self.window_days) for day in self.days]
        reference = history.reference(self.reference, spans).counts
        return history.coarse(history.window(spans).counts), history.coarse(reference)


@dataclass(frozen=True, slots=True)
class _Part:
    """The part of a segment in the shift of the whole, each of shape (days, features)."""

    current_count: Counts
    reference_count: Counts
    contribution: Floats

    @classmethod
    def of(cls, current: Counts, reference: Counts, size: Counts, reference_size: Counts, log_ratio: Floats) -> _Part:
        moved = current / size[..., np.newaxis] - reference / reference_size[..., np.newaxis]
        # training counts are the same for every day
        reference_count = np.broadcast_to(reference.sum(axis=-1), current.shape[:-1])
        # added in the order of the bins, so that padding for features with more bins does not change the sum
        contribution = np.cumsum(moved * log_ratio, axis=-1)[..., -1]
        return cls(current.sum(axis=-1), reference_count, contribution)


_KEY = ("dt", *_DEPLOYMENT, "feature", "window_days", "reference")
