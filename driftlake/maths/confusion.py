"""How well predicted classes match the labels, from counts per class: pure functions that take arrays.

Not here: gathering the counts (`driftlake.quality.labelled_windows`) and the AUC of one class (`driftlake.maths.ranking`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from driftlake.maths.arrays import Counts, Floats
from driftlake.maths.ranking import Auc, logit_interval


def macro_f1(hits: Counts, predicted: Counts, labelled: Counts) -> Floats:
    """Mean F1 score of the classes, 0..1, from counts of shape (..., classes); nan without any.

    `hits` are the correct predictions of a class, `predicted` all its predictions, `labelled` its labels. A class that
    is neither predicted nor a label has no F1 score and is left out of the mean (Sokolova and Lapalme 2009).
    """
    sizes = predicted + labelled
    return _masked_mean(2 * hits / np.maximum(sizes, 1), sizes > 0)


def macro_auc(of_classes: Sequence[Auc], is_counted: NDArray[np.bool_]) -> Auc:
    """Mean over the counted classes of the AUC of each class against the rest (Fawcett 2006); input has shape (..., classes).

    The AUCs of the classes come from the same rows, and their covariance cannot be computed from counts per class.
    Whatever it is, the standard error of a mean is at most the mean of the standard errors. The interval uses this
    bound, so it is never too narrow. The binning bounds are the means of the bounds of the classes.
    """
    value, standard_error, binning_low, binning_high = (
        _masked_mean(np.stack([getattr(class_auc, name) for class_auc in of_classes], axis=-1), is_counted)
        for name in ("value", "standard_error", "binning_low", "binning_high")
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        low, high = logit_interval(value, standard_error)
    return Auc(value, standard_error, low, high, binning_low, binning_high)


def _masked_mean(values: Floats, is_counted: NDArray[np.bool_]) -> Floats:
    count = is_counted.sum(axis=-1)
    total = np.where(is_counted, values, 0).sum(axis=-1)
    mean: Floats = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return mean
