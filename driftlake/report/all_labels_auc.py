"""AUC with every label known now, for the charts of many versions.

The view quality_history has the same values with their intervals, but sums every window anew, which costs seconds for a
dozen versions; here windows are differences of running sums. Pure functions over arrays.
Not here: reading the counts (sql/report/known_labels.sql).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from driftlake.maths.arrays import Counts, Floats
from driftlake.maths.ranking import auc


@dataclass(frozen=True, slots=True)
class ClassLabels:
    """Labels of a version and one scored class: a count for each pair of a day and a bin that has some."""

    day_numbers: Counts
    bin_positions: Counts
    positives: Counts
    negatives: Counts


def all_labels_auc(
    classes: Sequence[ClassLabels], last_days: Counts, window_days: int, minimum_class_counts: Counts
) -> Floats:
    """AUC over the windows of `window_days` that end with `last_days`, counted like `day_numbers`; the mean over the classes.

    nan where no class has `minimum_class_counts` labels of it and of others.
    """
    per_class = [_of_class(labels, last_days, window_days, minimum_class_counts) for labels in classes]
    values = np.array(per_class).reshape(len(classes), len(last_days))
    is_known = ~np.isnan(values)
    sums, counts = np.where(is_known, values, 0).sum(axis=0), is_known.sum(axis=0)
    means: Floats = np.divide(sums, counts, out=np.full(len(last_days), np.nan), where=counts > 0)
    return means


def _of_class(labels: ClassLabels, last_days: Counts, window_days: int, minimum_class_counts: Counts) -> Floats:
    positives, negatives = (
        _in_windows(labels, counts, last_days, window_days) for counts in (labels.positives, labels.negatives)
    )
    is_enough = np.minimum(positives.sum(axis=1), negatives.sum(axis=1)) >= minimum_class_counts
    return np.where(is_enough, auc(positives, negatives).value, np.nan)


def _in_windows(labels: ClassLabels, counts: Counts, last_days: Counts, window_days: int) -> Counts:
    """Counts of shape (windows, bins)."""
    bins, places = np.unique(labels.bin_positions, return_inverse=True)
    days = 1 + max(labels.day_numbers.max(initial=0), last_days.max(initial=0))
    running = np.zeros((days + 1, len(bins)), np.int64)
    np.add.at(running, (labels.day_numbers + 1, places), counts)
    running = running.cumsum(axis=0)
    in_windows: Counts = running[last_days + 1] - running[np.maximum(last_days + 1 - window_days, 0)]
    return in_windows
