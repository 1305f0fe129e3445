"""Calibrations of the scores of classes from recent labels, as of any day: probabilities by class and bin of its score.

Not here: the formulas (`driftlake.maths.recalibration`), the binary counterpart (`driftlake.quality.labelled_windows`), and
what is expected of predictions (`driftlake.quality.performance`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from driftlake.config import QualitySettings
from driftlake.lake.grouping import grouped
from driftlake.lineage.versions import ModelVersion
from driftlake.maths.arrays import Counts, Floats
from driftlake.maths.recalibration import probabilities_of_classes
from driftlake.quality.labelled_windows import CLASS_SCORE_BINS, by_score_of

_COUNTS = ("positive_count", "negative_count", "right_count", "wrong_count")


@dataclass(frozen=True, slots=True)
class ClassProbabilities:
    """By class and bin of its score, in ascending order of score, shape (classes, bins); None with too few labels.

    `of_class` is the probability that the label is the class, `of_right` that a prediction of the class is right.
    """

    of_class: Floats | None = None
    of_right: Floats | None = None


def class_calibrations_of(
    known_labels: pa.Table, versions: Mapping[tuple[str, str], ModelVersion], settings: QualitySettings
) -> dict[tuple[str, str], ClassCalibrations]:
    """The calibrations of every version that has classes, from rows of sql/quality/known_class_labels.sql."""
    by_version = grouped(known_labels, ["model_id", "model_version"])
    return {
        key: ClassCalibrations(by_version.get(key, known_labels.slice(0, 0)), version, settings)
        for key, version in versions.items()
        if version.classes
    }


class ClassCalibrations:
    """The calibrations of one version, from the labels of the last days."""

    def __init__(self, known_labels: pa.Table, version: ModelVersion, settings: QualitySettings) -> None:
        self._settings = settings
        self._days = known_labels["dt"].to_numpy()
        self._shape = len(version.classes), CLASS_SCORE_BINS
        classes = pc.index_in(known_labels["scored_class"], pa.array(version.class_names, pa.string()))
        self._places = classes.to_numpy(), known_labels["bin_id"].to_numpy()
        self._counts = [known_labels[name].to_numpy() for name in _COUNTS]
        self._learned: dict[date, ClassProbabilities] = {}

    def as_of(self, day: date) -> ClassProbabilities:
        """What labels that became final up to a day say."""
        if day not in self._learned:
            positives, negatives, right, wrong = self._known(day)
            # a labelled prediction has a score of every class, but is of one class
            scored, decided = (positives + negatives).sum(axis=1).max(), (right + wrong).sum()
            self._learned[day] = ClassProbabilities(
                probabilities_of_classes(positives, negatives) if self._is_enough(scored) else None,
                probabilities_of_classes(right, wrong) if self._is_enough(decided) else None,
            )
        return self._learned[day]

    def _known(self, day: date) -> list[Counts]:
        """Labels by class and bin, shape (classes, bins)."""
        first = np.datetime64(day - timedelta(days=self._settings.calibration_days - 1))
        start, end = np.searchsorted(self._days, first), np.searchsorted(self._days, np.datetime64(day), side="right")
        classes, bins = (places[start:end] for places in self._places)
        found = []
        for counts in self._counts:
            total = np.zeros(self._shape, dtype=np.int64)
            np.add.at(total, (classes, bins), counts[start:end])
            # a correction may take back labels that became final earlier
            found.append(by_score_of(np.maximum(total, 0)))
        return found

    def _is_enough(self, label_count: int) -> bool:
        return label_count >= self._settings.minimum_calibration_labels
