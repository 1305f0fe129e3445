"""Evidence for the parts of a loss of performance: cases that are harder to distinguish, scores that rank worse, one segment.

It comes from rows of sql/causes/loss_parts.sql. A part is reported only if it clearly exceeds the usual differences between days. Not here: the formulas
(`driftlake.maths.loss_parts`), and other causes (`driftlake.alerts.causes`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from driftlake.lake.grouping import grouped
from driftlake.maths.arrays import Floats
from driftlake.maths.loss_parts import Loss, auc_loss, error_loss
from driftlake.maths.segments import ALL
from driftlake.vocabulary.wording import SHARES, measured, statistic_name, three_decimals

# With fewer days, it is unknown how much days differ.
_FEWEST_DAYS_BEFORE, _FEWEST_DAYS_AFTER = 14, 5
# Standard errors from which a part is reported; many, because the first day was chosen for the largest loss.
_ERRORS, _ERRORS_OF_SEGMENTS = 3.0, 3.5
# A segment is reported if the other rows lost at most this share of its loss.
_REST_SHARE = 0.25
# Positives and negatives, or errors, that a segment must have before and after.
_FEWEST_LABELS = 20
_LOSS = ["incident_id", "known_on", "statistic", "lost_on"]
# The meanings of the two parts of a loss: the mix of scores, and the change within equal scores.
_HARDER_CASES = "the cases have become harder, as their scores show"
_OF_PROBABILITIES = (_HARDER_CASES, "labels fit equal scores less well than before")
_MEANINGS: Mapping[str, tuple[str, str]] = {
    "auc": _OF_PROBABILITIES,
    "log_loss": _OF_PROBABILITIES,
    "brier_score": _OF_PROBABILITIES,
    "accuracy": (_HARDER_CASES, "predictions with equal scores are wrong more often than before"),
    "mean_absolute_error": (
        "more predictions are in ranges where errors were larger before",
        "errors are larger than before where predictions are equal",
    ),
}


def evidence(counts: pa.Table, smallest_cell: int) -> list[dict[str, Any]]:
    """Rows of evidence, each with the name of its cause."""
    found: list[dict[str, Any]] = []
    for values, of_loss in grouped(counts, _LOSS).items():
        loss = dict(zip(_LOSS, values, strict=True))
        found += (row | loss for row in _of_loss(of_loss, loss, smallest_cell))
    return found


def _of_loss(of_loss: pa.Table, loss: Mapping[str, Any], smallest_cell: int) -> Iterator[dict[str, Any]]:
    days = np.unique(of_loss["prediction_on"].to_numpy())
    is_before = days < np.datetime64(loss["lost_on"])
    if is_before.sum() < _FEWEST_DAYS_BEFORE or (~is_before).sum() < _FEWEST_DAYS_AFTER:
        return
    is_auc = loss["statistic"] == "auc"
    by_segment = _by_segment(of_loss, days, is_auc=is_auc)
    measure = auc_loss if is_auc else error_loss
    whole = by_segment.pop(ALL)
    if not _has_labels(whole, is_before, is_auc=is_auc):
        return
    found = measure(whole[is_before], whole[~is_before])
    written = three_decimals if loss["statistic"] in SHARES else measured
    mix_means, within_means = _MEANINGS[loss["statistic"]]
    named = {
        "name": statistic_name(loss["statistic"]),
        "mix_means": mix_means,
        "within_means": within_means,
    }
    values = {
        "lost": written(found.whole.value),
        "mix": written(found.mix.value),
        "within": written(found.within.value),
    }
    for cause, part in (("harder_cases", found.mix), ("quality_loss", found.within)):
        if part.is_beyond(_ERRORS) and part.value >= found.whole.value / 2:
            strength = min(1.0, part.value / found.whole.value)
            yield named | values | {"cause": cause, "subject": loss["statistic"], "strength": strength}
    rows_after = _row_count(whole[~is_before], is_auc=is_auc)
    for segment, own in by_segment.items():
        row_count, rest = _row_count(own[~is_before], is_auc=is_auc), whole - own
        if row_count < smallest_cell or not all(_has_labels(each, is_before, is_auc=is_auc) for each in (own, rest)):
            continue
        inside, outside = (measure(each[is_before], each[~is_before]) for each in (own, rest))
        if _is_where_it_is_lost(inside, outside):
            lost = {"lost": written(inside.whole.value), "lost_by_rest": written(outside.whole.value)}
            share = {"row_share": row_count / rows_after}
            yield named | lost | share | {"cause": "one_segment", "subject": segment, "strength": 1.0}


def _by_segment(counts: pa.Table, days: Any, *, is_auc: bool) -> dict[str, Floats]:
    """By segment, arrays of shape (days, classes, parts, 2) as `driftlake.maths.loss_parts` takes them."""
    classes, of_class = np.unique(counts["scored_class"].to_numpy(zero_copy_only=False), return_inverse=True)
    segments, of_segment = np.unique(counts["segment"].to_numpy(zero_copy_only=False), return_inverse=True)
    parts = counts["part"].to_numpy()
    places = of_segment, np.searchsorted(days, counts["prediction_on"].to_numpy()), of_class, parts
    names = ("positive_count", "negative_count") if is_auc else ("error_sum", "label_count")
    held = np.zeros((len(segments), len(days), len(classes), int(parts.max()) + 1, 2))
    for column, name in enumerate(names):
        np.add.at(held[..., column], places, np.nan_to_num(counts[name].to_numpy()))
    if is_auc:
        # a multiclass model has scores of each class, and those of the chosen class, which have no positives
        held = held[:, :, (held.sum(axis=(0, 1, 3)) > 0).all(axis=-1)]
    else:
        # an error belongs to the class that was predicted, and so to the score of this class
        held = held.reshape(len(segments), len(days), 1, -1, 2)
    return {str(segment): held[place] for place, segment in enumerate(segments)}


def _has_labels(counts: Floats, is_before: Any, *, is_auc: bool) -> bool:
    """Whether there are enough of every class on both sides, also without any single day."""
    columns = slice(None) if is_auc else slice(1, None)
    sides = [counts[side].sum(axis=(0, 2))[..., columns] for side in (is_before, ~is_before)]
    largest = [counts[side].sum(axis=2)[..., columns].max(axis=0) for side in (is_before, ~is_before)]
    return all(
        side.size > 0 and bool((side >= _FEWEST_LABELS).all() and (side > most).all())
        for side, most in zip(sides, largest, strict=True)
    )


def _row_count(counts: Floats, *, is_auc: bool) -> float:
    """The labels of a row, which are those of one class if there are several."""
    return float((counts[:, 0].sum() if is_auc else counts[..., 1].sum()) if counts.size else 0)


def _is_where_it_is_lost(inside: Loss, outside: Loss) -> bool:
    difference = inside.whole.value - outside.whole.value
    error = float(np.hypot(inside.whole.standard_error, outside.whole.standard_error))
    return difference > _ERRORS_OF_SEGMENTS * error and outside.whole.value <= _REST_SHARE * inside.whole.value
