"""Windows of one model version as arrays: labels, predictions and calibrations per score bin.

Not here: statistics from these arrays (`driftlake.quality.measures`, `driftlake.maths.estimation`) and the queries (sql/).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from driftlake.config import QualitySettings
from driftlake.lake.grouping import grouped
from driftlake.lineage.versions import ModelVersion
from driftlake.maths.arrays import Counts, Floats
from driftlake.maths.binning import ABOVE, BELOW, FIRST_RANGE, MISSING, PROBABILITY_GRID, share_from
from driftlake.maths.estimation import Calibration, calibrate, isotonic
from driftlake.maths.ranking import Auc, auc
from driftlake.maths.recalibration import recalibrate
from driftlake.profiles.kernel import NO_CLASS

_VERSION = ("model_id", "model_version")
KEY = ("dt", "window_days", "model_id", "model_version", "deployment", "segment")

_LABELS_PER_BIN = ("positive_count", "negative_count", "score_sum", "number_count")
_LABELS_PER_WINDOW = (
    "log_loss_sum",
    "squared_error_sum",
    "true_positive_count",
    "false_positive_count",
    "error_sum",
    "absolute_error_sum",
    "quantile_loss_sum",
)
# Columns of class_score_cohorts.
CLASS_SCORE_BINS = FIRST_RANGE + PROBABILITY_GRID.cells
# A window of a probability takes 30 kB, and there are as many as days times window lengths times segments.
_WINDOWS_AT_ONCE = 4096


@dataclass(frozen=True, slots=True)
class QualityCounts:
    """Rows of window_predictions, quality_counts, window_scores, class_counts and class_score_counts.sql."""

    windows: pa.Table
    labels: pa.Table
    scores: pa.Table
    confusions: pa.Table
    class_scores: pa.Table


@dataclass(frozen=True, slots=True)
class ClassCounts:
    """Labels by class, shape (windows, classes), and the AUC of each class against the rest, shape (windows,).

    `hits`, `predicted` and `labelled` are of predictions that have a class. `scored` are labels of the class, `of_others`
    those of other classes, of predictions that have a score of the class.
    """

    hits: Counts
    predicted: Counts
    labelled: Counts
    scored: Counts
    of_others: Counts
    aucs: Sequence[Auc]


@dataclass(frozen=True, slots=True)
class LabelledWindows:
    """Some windows of one version: `counts` of shape (windows, bins) and `sums` of shape (windows,), by column.

    Sums are nan where there was nothing to sum.
    """

    version: ModelVersion
    keys: pa.Table
    counts: Mapping[str, NDArray[Any]]
    sums: Mapping[str, Floats]
    calibrations: Sequence[Calibration | None]
    is_calibrated_on_training: NDArray[np.bool_]
    # whether the calibrations have learned from every known label of the window
    is_every_label_learned: bool
    # of a multiclass model
    classes: ClassCounts | None = None

    @property
    def prediction_count(self) -> Counts:
        """Predictions, shape (windows,)."""
        count: Counts = self.keys["prediction_count"].to_numpy()
        return count

    @property
    def is_current(self) -> NDArray[np.bool_]:
        """Whether there are predictions on the last day, shape (windows,)."""
        is_current: NDArray[np.bool_] = self.keys["has_predictions_on_last_day"].to_numpy().astype(bool)
        return is_current

    @property
    def label_count(self) -> Counts:
        """Labels, including those of predictions without a score, shape (windows,)."""
        total: Counts = np.sum([self.counts[name] for name in _COUNTS_OF_LABELS], axis=(0, -1))
        return total

    @property
    def learned_share(self) -> Floats:
        """Lower bound of the share of predictions from whose labels the calibrations have learned, shape (windows,)."""
        if not self.is_every_label_learned:
            return np.zeros(len(self.prediction_count))
        share: Floats = np.minimum(self.label_count / np.maximum(self.prediction_count, 1), 1)
        return share

    @property
    def scored_count(self) -> Counts:
        """Labels of predictions with a score, shape (windows,)."""
        total: Counts = np.sum([self.by_score(name) for name in _COUNTS_OF_LABELS], axis=(0, -1))
        return total

    def by_score(self, name: str) -> NDArray[Any]:
        """Counts per bin in ascending order of score, without predictions that have no score."""
        per_bin = self.counts[name]
        return by_score_of(per_bin)

    def share_above(self, cut: float) -> Floats:
        """Share of the scores in each bin that are at least `cut`, bins as in `by_score`; scores inside a bin count as evenly spread."""
        if self.version.score_bins is None:
            return np.empty(0)
        return share_from(self.version.score_bins, cut)


def by_score_of(per_bin: NDArray[Any]) -> NDArray[Any]:
    """Values of the bins with scores, in ascending order of score, from shape (..., bins).

    Uses `take` and not an index: indexing changes the memory layout, and then the order in which numpy adds the bins
    of a window depends on the number of windows.
    """
    return np.take(per_bin, ascending_bins(per_bin.shape[-1]), axis=-1)


def ascending_bins(bin_count: int) -> list[int]:
    """Bins with scores, in ascending order of score; none if the only bin is that of predictions without a score."""
    return [BELOW, *range(FIRST_RANGE, bin_count), ABOVE] if bin_count > ABOVE else []


_COUNTS_OF_LABELS = ("positive_count", "negative_count", "number_count")


def by_version(
    counts: QualityCounts,
    versions: Mapping[tuple[str, str], ModelVersion],
    calibrations: Mapping[tuple[str, str], Calibrations],
) -> Iterator[LabelledWindows]:
    """All windows, one version at a time; versions with many segments come in pieces."""
    tables = [getattr(counts, each.name) for each in fields(QualityCounts)]
    groups = [grouped(table, _VERSION) for table in tables]
    for key, version in versions.items():
        mine = QualityCounts(
            *(of_groups.get(key, table.slice(0, 0)) for of_groups, table in zip(groups, tables, strict=True))
        )
        learned = calibrations[key]
        counted = [(table, _places(mine.windows, table)) for table in (mine.labels, mine.scores)]
        of_classes = [(table, _places(mine.windows, table)) for table in (mine.confusions, mine.class_scores)]
        for start in range(0, mine.windows.num_rows, _WINDOWS_AT_ONCE):
            keys = mine.windows.slice(start, _WINDOWS_AT_ONCE)
            labels, scores = (_Rows.of(*rows, start, keys.num_rows) for rows in counted)
            windows = _gathered(version, keys, labels, scores, learned)
            if version.classes:
                confusions, class_scores = (_Rows.of(*rows, start, keys.num_rows) for rows in of_classes)
                windows = replace(windows, classes=_by_class(version.class_names, confusions, class_scores))
            yield windows


def _gathered(
    version: ModelVersion, keys: pa.Table, labels: _Rows, scores: _Rows, calibrations: Calibrations
) -> LabelledWindows:
    width = version.score_bins.bin_count if version.score_bins else 1
    learned = [calibrations.as_of(day) for day in keys["dt"].to_pylist()]
    return LabelledWindows(
        version,
        keys,
        {
            **{name: labels.per_bin(name, width) for name in _LABELS_PER_BIN},
            "row_count": scores.per_bin("row_count", width),
            "prediction_score_sum": scores.per_bin("score_sum", width),
        },
        {name: labels.per_window(name) for name in _LABELS_PER_WINDOW},
        [calibration for calibration, _ in learned],
        np.array([is_training for _, is_training in learned], dtype=bool),
        calibrations.is_final_at_once,
    )


def _by_class(classes: Sequence[str], confusions: _Rows, scores: _Rows) -> ClassCounts:
    is_decided = pc.field("predicted_class") != NO_CLASS
    decided = confusions.where(is_decided)
    shape = (confusions.window_count, len(classes))
    positives, negatives = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    aucs = []
    for place, scored_class in enumerate(classes):
        # class by class, because all classes at once would take megabytes per window
        of_class = scores.where(pc.field("scored_class") == scored_class)
        counted = (of_class.per_bin(name, CLASS_SCORE_BINS) for name in ("positive_count", "negative_count"))
        ranked = [by_score_of(per_bin) for per_bin in counted]
        positives[:, place], negatives[:, place] = (side.sum(axis=-1) for side in ranked)
        aucs.append(auc(*ranked))
    return ClassCounts(
        decided.where(pc.field("predicted_class") == pc.field("label_class")).per_class("label_class", classes),
        decided.per_class("predicted_class", classes),
        decided.per_class("label_class", classes),
        positives,
        negatives,
        aucs,
    )


@dataclass(frozen=True, slots=True)
class _Rows:
    """Rows of some windows, with the position of the window of each row."""

    table: pa.Table
    places: NDArray[np.int64]
    window_count: int

    @classmethod
    def of(cls, table: pa.Table, places: NDArray[np.int64], first: int, window_count: int) -> _Rows:
        # labels can arrive for a window whose predictions were removed later; they have no position
        is_here = (places >= first) & (places < first + window_count)
        return cls(table.filter(pa.array(is_here)), places[is_here] - first, window_count)

    def per_bin(self, name: str, width: int) -> NDArray[Any]:
        """Values by bin, shape (windows, width)."""
        values = self.table[name].to_numpy()
        dense = np.zeros((self.window_count, width), dtype=values.dtype)
        dense[self.places, self.table["bin_id"].to_numpy()] = values
        return dense

    def where(self, condition: pc.Expression) -> _Rows:
        """Rows for which the condition holds."""
        numbered = self.table.append_column("place", pa.array(self.places)).filter(condition)
        return _Rows(numbered.drop_columns("place"), numbered["place"].to_numpy(), self.window_count)

    def per_class(self, name: str, classes: Sequence[str]) -> Counts:
        """Numbers of rows by the class in a column, shape (windows, classes); unknown classes are left out."""
        counts = np.zeros((self.window_count, len(classes)), dtype=np.int64)
        found = pc.index_in(self.table[name], pa.array(classes)).fill_null(-1).to_numpy()
        is_known = found >= 0
        np.add.at(counts, (self.places[is_known], found[is_known]), self.table["row_count"].to_numpy()[is_known])
        return counts

    def per_window(self, name: str) -> Floats:
        """Sum per window, shape (windows,); nan where no row has a value."""
        values = self.table[name].to_numpy().astype(float)
        is_known = ~np.isnan(values)
        places = self.places[is_known]
        sums = np.bincount(places, weights=values[is_known], minlength=self.window_count)
        return np.where(np.bincount(places, minlength=self.window_count) > 0, sums, np.nan)


def _places(windows: pa.Table, rows: pa.Table) -> NDArray[np.int64]:
    """Position of each row's window, -1 if there is none."""
    if not windows.num_rows or not rows.num_rows:
        return np.full(rows.num_rows, -1)
    codes = np.zeros(windows.num_rows + rows.num_rows, dtype=np.int64)
    for name in KEY:
        encoded = pa.concat_arrays([*windows[name].chunks, *rows[name].chunks]).dictionary_encode()
        codes = codes * max(len(encoded.dictionary), 1) + encoded.indices.to_numpy(zero_copy_only=False)
    of_windows, of_rows = codes[: windows.num_rows], codes[windows.num_rows :]
    order = np.argsort(of_windows)
    found = np.clip(np.searchsorted(of_windows, of_rows, sorter=order), 0, len(order) - 1)
    return np.where(of_windows[order[found]] == of_rows, order[found], -1)


def calibrations_of(
    known_labels: pa.Table,
    versions: Mapping[tuple[str, str], ModelVersion],
    settings: QualitySettings,
    *,
    is_final_at_once: bool = True,
) -> dict[tuple[str, str], Calibrations]:
    """The calibrations of each version, from rows of sql/quality/known_labels.sql, and whether a label is final when it arrives."""
    by_version = grouped(known_labels, _VERSION)
    return {
        key: Calibrations(
            by_version.get(key, known_labels.slice(0, 0)),
            version,
            settings,
            is_final_at_once=is_final_at_once,
        )
        for key, version in versions.items()
    }


class Calibrations:
    """The calibrations of the scores of a version as of any day, from the training data and recent labels."""

    def __init__(
        self, known_labels: pa.Table, version: ModelVersion, settings: QualitySettings, *, is_final_at_once: bool
    ) -> None:
        self._settings = settings
        self.is_final_at_once = is_final_at_once
        self._width = version.score_bins.bin_count if version.score_bins else 1
        self._learned: dict[date, tuple[Calibration | None, bool]] = {}
        self._days = known_labels["dt"].to_numpy()
        self._rows = known_labels
        training = version.training_labels
        self._training: Calibration | None = None
        if training and (labels := self._if_enough(training.positives[np.newaxis], training.negatives[np.newaxis])):
            # the days of training labels are not known
            positives, negatives = (side[0] for side in labels)
            self._training_counts = positives + negatives
            self._training = isotonic(positives, self._training_counts)

    def as_of(self, day: date) -> tuple[Calibration | None, bool]:
        """The calibration (None with too few labels), and whether it comes from the training data alone."""
        if day not in self._learned:
            self._learned[day] = self._learn(day)
        return self._learned[day]

    def _learn(self, day: date) -> tuple[Calibration | None, bool]:
        ages, *sides = self._known(day)
        lately = self._if_enough(*sides)
        if lately is None:
            return self._training, self._training is not None
        if self._training is None:
            return calibrate(*lately, ages), False
        return recalibrate(self._training, self._training_counts, *lately, ages), False

    def _known(self, day: date) -> tuple[Floats, Counts, Counts]:
        """Labels that became final in the days up to `day`, by days of predictions, shape (days, bins), and how long ago these were."""
        first = np.datetime64(day - timedelta(days=self._settings.calibration_days - 1))
        start, end = np.searchsorted(self._days, first), np.searchsorted(self._days, np.datetime64(day), side="right")
        rows = self._rows.slice(start, end - start)
        days, periods = np.unique(rows["prediction_on"].to_numpy(), return_inverse=True)
        sides = np.zeros((2, len(days), self._width), dtype=np.int64)
        for side, name in zip(sides, ("positive_count", "negative_count"), strict=True):
            np.add.at(side, (periods, rows["bin_id"].to_numpy()), rows[name].to_numpy())
        # a correction may take back labels that became final earlier
        positives, negatives = np.maximum(sides, 0)
        return (np.datetime64(day) - days).astype(float), positives, negatives

    def _if_enough(self, positives: Counts, negatives: Counts) -> tuple[Counts, Counts] | None:
        """Labels of shape (days, bins) with the bins in order of score; None if there are too few."""
        positives, negatives = (np.delete(side, MISSING, axis=1) for side in (positives, negatives))
        smallest = min(positives.sum(), negatives.sum())
        too_few = positives.sum() + negatives.sum() < self._settings.minimum_calibration_labels
        if too_few or smallest < self._settings.minimum_labels_per_class:
            return None
        # the bins below and above the grid come first; in order of score the latter is the last
        order = [0, *range(2, self._width - 1), 1]
        return positives[:, order], negatives[:, order]
