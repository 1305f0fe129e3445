"""Performance of a model with all labels: its metric by day, intervals with days as clusters, and the first day on which a loss could be known.

Pure functions over counts, implemented independently of the product that they judge. Not here: queries and verdicts (`bench.decisions`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
# quantile of the normal distribution for 95 % intervals
_TWO_SIDED = 1.96
# a longer memory would dilute a loss that grows
KNOWABLE_DAYS = 7


@dataclass(frozen=True, slots=True)
class Interval:
    """A value with its 95 % interval."""

    value: float
    low: float
    high: float


def auc(positives: Floats, negatives: Floats) -> float:
    """Area under the ROC curve from counts per score bin, in order of the score: ties count half."""
    below = np.cumsum(negatives) - negatives / 2
    pairs = positives.sum() * negatives.sum()
    return float(positives @ below / pairs) if pairs else float("nan")


def clustered_auc(positives: Floats, negatives: Floats) -> Interval:
    """The AUC of days together, from counts by day and bin, with an interval that leaves out one day at a time."""
    days = len(positives)
    all_positives, all_negatives = positives.sum(axis=0), negatives.sum(axis=0)
    value = auc(all_positives, all_negatives)
    if days < 2:
        return Interval(value, float("nan"), float("nan"))
    without = np.array([auc(all_positives - p, all_negatives - n) for p, n in zip(positives, negatives, strict=True)])
    error = float(np.sqrt((days - 1) / days * ((without - without.mean()) ** 2).sum()))
    return Interval(value, value - _TWO_SIDED * error, value + _TWO_SIDED * error)


def first_knowable(losses: Floats, known_on: NDArray[np.int64], fault_on: int, tolerance: float) -> int | None:
    """The first day on which a loss of more than the tolerance is certain to somebody who knows when the fault began.

    `losses` are those of each day against the usual day, nan without labels; `known_on` is the day on which that of a
    day is known. The mean of the newest known days since the fault, seven at most, is compared with the variation of
    the days before it.
    """
    days = np.arange(len(losses))
    usual = float(np.nanstd(losses[:fault_on], ddof=1))
    for today in range(fault_on, int(known_on.max()) + 1):
        known = losses[(days >= fault_on) & (known_on <= today) & np.isfinite(losses)][-KNOWABLE_DAYS:]
        if len(known) and known.mean() - tolerance > _TWO_SIDED * usual / np.sqrt(len(known)):
            return today
    return None


def beyond_three_deviations(values: Floats, reference_days: int) -> NDArray[np.bool_]:
    """Days after a reference period whose value is over three of its standard deviations from its mean."""
    reference = values[:reference_days][np.isfinite(values[:reference_days])]
    if len(reference) < 2:
        return np.zeros(len(values), dtype=bool)
    is_beyond = np.abs(values - reference.mean()) > 3 * reference.std(ddof=1)
    is_beyond[:reference_days] = False
    return np.asarray(is_beyond)


def runs(is_flagged: Sequence[bool] | NDArray[np.bool_]) -> list[tuple[int, int]]:
    """First and last index of each run of flagged days."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], np.asarray(is_flagged, dtype=int), [0]])))
    return [(int(first), int(end) - 1) for first, end in zip(edges[::2], edges[1::2], strict=True)]
