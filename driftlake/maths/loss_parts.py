"""The parts of a loss of performance: a changed mix of scores, or labels that fit the scores less well; days as clusters.

The difference of an AUC, or of a mean error, before and after a day is split over bins of the score (Oaxaca 1973, Blinder
1973). The part of the mix is the value that the later scores would have given with the earlier labels. The rest of the
difference lies within bins. Not here: which days are compared.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from driftlake.maths.arrays import Floats

# Shape (groups, bins, 2): positives and negatives of each class, or the sum and the number of errors.
Measure = Callable[[Floats], float]


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a loss with its standard error; positive is worse."""

    value: float
    standard_error: float

    def is_beyond(self, errors: float) -> bool:
        """Whether it is larger than this many of its standard errors."""
        return bool(self.value > errors * self.standard_error)


@dataclass(frozen=True, slots=True)
class Loss:
    """How much worse the performance is after than before, and the two parts of this loss: the mix, and within bins."""

    whole: Part
    mix: Part
    within: Part


def auc_loss(before: Floats, after: Floats) -> Loss:
    """Mean loss of AUC over the classes, from counts of shape (days, classes, bins, 2) with bins in order of score."""

    def expected(before: Floats, after: Floats) -> Floats:
        rows = after.sum(axis=-1)
        rate = _share(before[..., 0], before.sum(axis=-1), _share(after[..., 0], rows, np.zeros_like(rows)))
        return np.stack([rows * rate, rows * (1 - rate)], axis=-1)

    return _loss(before, after, lambda counts: -_auc(counts), expected)


def error_loss(before: Floats, after: Floats) -> Loss:
    """Growth of a mean error from sums and counts of shape (days, 1, bins, 2)."""

    def expected(before: Floats, after: Floats) -> Floats:
        rows = after[..., 1]
        error = _share(before[..., 0], before[..., 1], _share(after[..., 0], rows, np.zeros_like(rows)))
        return np.stack([rows * error, rows], axis=-1)

    return _loss(before, after, lambda sums: float(sums[..., 0].sum() / sums[..., 1].sum()), expected)


def _loss(before: Floats, after: Floats, badness: Measure, expected: Callable[[Floats, Floats], Floats]) -> Loss:
    def parts(before: Floats, after: Floats) -> Floats:
        was, is_now, would_be = badness(before), badness(after), badness(expected(before, after))
        return np.array([is_now - was, would_be - was, is_now - would_be])

    totals = before.sum(axis=0), after.sum(axis=0)
    without = (
        [parts(totals[0] - day, totals[1]) for day in before],
        [parts(totals[0], totals[1] - day) for day in after],
    )
    # the jackknife of each of two independent samples of days
    variance = sum(np.var(left, axis=0) * (len(left) - 1) for left in without)
    return Loss(*(Part(*both) for both in zip(parts(*totals).tolist(), np.sqrt(variance).tolist(), strict=True)))


def _auc(counts: Floats) -> float:
    positives, negatives = counts[..., 0], counts[..., 1]
    below = np.cumsum(negatives, axis=-1) - negatives / 2
    return float(np.mean((positives * below).sum(axis=-1) / (positives.sum(axis=-1) * negatives.sum(axis=-1))))


def _share(part: Floats, whole: Floats, otherwise: Floats) -> Floats:
    return np.where(whole > 0, part / np.where(whole > 0, whole, 1), otherwise)
