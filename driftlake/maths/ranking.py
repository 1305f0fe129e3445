"""How well scores rank, from counts per score bin: pure functions that take arrays.

`positives` and `negatives` are counts of shape (..., bins), bins ordered by ascending score. Scores inside a bin count
as tied. Not here: which labels are counted (`driftlake.nightly.label_source`, `driftlake.quality.measures`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from scipy import special

from driftlake.maths.arrays import Counts, Floats

CONFIDENCE = 0.95
Numbers = TypeVar("Numbers", Counts, Floats)


@dataclass(frozen=True, slots=True)
class Auc:
    """Area under the ROC curve with its interval and binning bounds, each of shape (...); nan with one class only."""

    value: Floats
    standard_error: Floats
    confidence_low: Floats
    confidence_high: Floats
    binning_low: Floats
    binning_high: Floats


def auc(positives: Counts, negatives: Counts) -> Auc:
    """Mann-Whitney AUC, ties counted as half, with the variance of DeLong, DeLong and Clarke-Pearson (1988).

    The interval is built on the log-odds scale so that it stays inside 0..1 (Pepe 2003). `binning_low` and
    `binning_high` bound the AUC of the unbinned scores: half of the tied pairs in either direction.
    """
    positive_count, negative_count = positives.sum(axis=-1), negatives.sum(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        positive_placement, negative_placement = placements(positives, negatives)
        value = (positives * positive_placement).sum(axis=-1) / positive_count
        ties = (positives * negatives).sum(axis=-1) / (positive_count * negative_count) / 2
        variance = _mean_variance(positives, positive_placement, positive_count) + _mean_variance(
            negatives, negative_placement, negative_count
        )
        standard_error = np.sqrt(variance)
        low, high = logit_interval(value, standard_error)
    is_known = (positive_count > 0) & (negative_count > 0)
    fields = (value, standard_error, low, high, value - ties, value + ties)
    return Auc(*(np.where(is_known, field, np.nan) for field in fields))


def placements(positives: Numbers, negatives: Numbers) -> tuple[Floats, Floats]:
    """Per bin, the share of negatives that a positive outranks and the share of positives that outrank a negative, ties as half."""
    positive_placement = (_below(negatives) + negatives / 2) / negatives.sum(axis=-1, keepdims=True)
    negative_placement = (_above(positives) + positives / 2) / positives.sum(axis=-1, keepdims=True)
    return positive_placement, negative_placement


def logit_interval(value: Floats, standard_error: Floats) -> tuple[Floats, Floats]:
    """Interval of a share on the log-odds scale; if the share is 0 or 1, both ends are the share."""
    z = special.ndtri((1 + CONFIDENCE) / 2)
    width = z * standard_error / (value * (1 - value))
    is_inside = (value > 0) & (value < 1)
    low = np.where(is_inside, special.expit(special.logit(value) - width), value)
    high = np.where(is_inside, special.expit(special.logit(value) + width), value)
    return low, high


def wilson_interval(hits: Counts | Floats, trials: Counts | Floats) -> tuple[Floats, Floats]:
    """Interval of a share (Wilson 1927); nan without trials."""
    z = special.ndtri((1 + CONFIDENCE) / 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = hits / trials
        centre = share + z**2 / trials / 2
        width = z * np.sqrt(share * (1 - share) / trials + z**2 / trials**2 / 4)
        scale = 1 + z**2 / trials
        # rounding must not put the share outside the interval
        return np.minimum((centre - width) / scale, share), np.maximum((centre + width) / scale, share)


def _below(counts: Numbers) -> Numbers:
    lower: Numbers = np.cumsum(counts, axis=-1) - counts
    return lower


def _above(counts: Numbers) -> Numbers:
    higher: Numbers = counts.sum(axis=-1, keepdims=True) - np.cumsum(counts, axis=-1)
    return higher


def _mean_variance(counts: Counts, placement: Floats, total: Counts) -> Floats:
    """Variance of the mean placement of `total` members; `counts` are the members with each placement."""
    mean = (counts * placement).sum(axis=-1) / total
    squares = (counts * (placement - mean[..., None]) ** 2).sum(axis=-1)
    variance: Floats = np.where(total > 1, squares / (total - 1) / total, np.nan)
    return variance
