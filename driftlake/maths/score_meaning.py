"""Whether scores look like something other than the probability of the positive class, judged by counts per score bin.

Not here: which scores and labels are counted (`driftlake.profiles.label_join`,
`driftlake.training.reference_labels`), and the messages about it.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np

from driftlake.maths.arrays import Counts
from driftlake.maths.binning import ABOVE, BELOW, FIRST_RANGE, PROBABILITY_GRID
from driftlake.maths.ranking import auc, wilson_interval

ScoreProblem: TypeAlias = Literal["reversed", "confidence"]

# With fewer labels of either class there is no verdict.
_FEWEST_LABELS = 100
# An AUC below this does not mean a bad model, but scores and labels that point in opposite directions.
_REVERSED_AUC = 0.4
# Bins below one half, including BELOW.
_LOWER_BINS = 1 + PROBABILITY_GRID.cells // 2
# Even a badly calibrated probability of the positive class overestimates its share by less than this.
_OVERESTIMATED = 0.15


def score_problem(
    positives: Counts, negatives: Counts, score_sum: float, *, is_probability: bool
) -> ScoreProblem | None:
    """What the scores look like: `reversed` if they rank negatives higher, `confidence` if they never fall below one half.

    `positives` and `negatives` are labels per score bin, by bin_id, shape (bins,).
    """
    if not has_enough_labels(positives, negatives):
        return None
    positives, negatives = _ascending(positives), _ascending(negatives)
    if is_probability and not (positives + negatives)[:_LOWER_BINS].any():
        count = int((positives + negatives).sum())
        _, highest_rate = wilson_interval(positives.sum(), np.array(count))
        if score_sum / count > highest_rate + _OVERESTIMATED:
            return "confidence"
    ranked = auc(positives, negatives)
    return "reversed" if ranked.value < _REVERSED_AUC and ranked.confidence_high < 1 / 2 else None


def labelled_auc(positives: Counts, negatives: Counts) -> float:
    """AUC of labels per score bin, by bin_id, shape (bins,)."""
    return float(auc(_ascending(positives), _ascending(negatives)).value)


def has_enough_labels(positives: Counts, negatives: Counts) -> bool:
    """Whether there are enough labels of each class whose predictions have a score."""
    return min(int(positives[BELOW:].sum()), int(negatives[BELOW:].sum())) >= _FEWEST_LABELS


def _ascending(counts: Counts) -> Counts:
    """Counts of the bins with a score, by ascending score."""
    return np.concatenate([counts[[BELOW]], counts[FIRST_RANGE:], counts[[ABOVE]]])
