"""Scores of the classes of multiclass models, before labels: rows of class_score_profile.

Each class is counted by the bin of its own score, over all predictions and over the predictions of the class. Not here: the
counts of predicted classes (`driftlake.profiles.kernel`), labels by these scores (sql/labels/class_score_cohorts.sql), and
what performance is to be expected (`driftlake.quality.class_calibrations`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa

from driftlake.maths.arrays import Counts, Floats, Indices
from driftlake.maths.binning import BELOW, FeatureBins, probability_bins
from driftlake.profiles.kernel import Grouping


@cache
def _bins() -> FeatureBins:
    return probability_bins("score")


@dataclass(frozen=True, slots=True)
class ClassScoreCounts:
    """Predictions by group, class and bin of the score of the class, and of these the predictions of the class: shape (groups, classes, bins)."""

    classes: Sequence[str]
    rows: Counts
    predicted: Counts

    @classmethod
    def combined(cls, parts: Sequence[ClassScoreCounts]) -> ClassScoreCounts:
        """Everything counted in all parts, which are of the same version."""
        rows, predicted = (np.sum([getattr(part, name) for part in parts], axis=0) for name in ("rows", "predicted"))
        return cls(parts[0].classes, rows, predicted)

    def columns(self) -> dict[str, Any]:
        """Columns of class_score_profile, each of shape (triples that have rows,); classes without a score have none."""
        groups, classes, bin_ids = np.nonzero(self.rows[..., BELOW:])
        bin_ids += BELOW
        triples = groups, classes, bin_ids
        return {
            "group": groups,
            "scored_class": pa.array(self.classes, pa.string()).take(pa.array(classes)),
            "bin_id": bin_ids,
            "row_count": self.rows[triples],
            "predicted_count": self.predicted[triples],
        }


class ClassScoreAccumulator:
    """Counts the scores of the classes of a version; segments have no counts of their own."""

    def __init__(self, class_paths: Mapping[str, str], group_counts: Sequence[int], *, divisor: int = 1) -> None:
        """`class_paths` are the paths of the columns, by class; `group_counts` is the number of groups of each grouping."""
        self._classes = list(class_paths)
        self._places = {path: place for place, path in enumerate(class_paths.values())}
        self._divisor = divisor
        self._grouping_count = len(group_counts)
        self._rows, self._predicted = np.zeros(
            (2, group_counts[0], len(class_paths), _bins().bin_count), dtype=np.int64
        )

    def places(self, positions: Indices, names: Sequence[str | None]) -> Indices:
        """Places of predicted classes among the classes of the version, -1 for others, shape (rows,)."""
        known = {name: place for place, name in enumerate(self._classes)}
        of_names = [-1 if name is None else known.get(name, -1) for name in names]
        places: Indices = np.array([*of_names, -1], dtype=np.int32)[positions]
        return places

    def add_values(self, path: str, scores: Floats, predicted: Indices | None, grouping: Grouping) -> None:
        """Count the scores of the class with this path, nan being missing; `predicted` are places of classes, both of shape (rows,)."""
        place = self._places.get(path)
        if place is None:
            return
        bin_ids = _bins().bin_ids(scores if self._divisor == 1 else scores / self._divisor)
        group_count, _, width = self._rows.shape
        keys = np.repeat(grouping.groups * width, grouping.sizes) + grouping.ordered(bin_ids)
        size, shape = group_count * width, (group_count, width)
        self._rows[:, place] += np.bincount(keys, minlength=size).reshape(shape)
        if predicted is not None:
            of_class = keys[grouping.ordered(predicted) == place]
            self._predicted[:, place] += np.bincount(of_class, minlength=size).reshape(shape)

    def counts(self) -> list[ClassScoreCounts]:
        """Everything counted so far, per grouping."""
        nothing = np.zeros((0, len(self._classes), _bins().bin_count), dtype=np.int64)
        empty = ClassScoreCounts(self._classes, nothing, nothing)
        whole = ClassScoreCounts(self._classes, self._rows, self._predicted)
        return [whole, *[empty] * (self._grouping_count - 1)]
