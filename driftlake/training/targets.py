"""Checks the target of the training data against the expected labels: 0 and 1, or those that are declared.

Not here: what is declared (`driftlake.lineage.label_meaning`) and counting the target
(`driftlake.training.reference_labels`).
"""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa

from driftlake.config import Settings
from driftlake.errors import InputError
from driftlake.lineage.label_meaning import LabelMeaning, declared_meaning, label_text
from driftlake.lineage.lineage_files import LineageFile, LineageRecord
from driftlake.maths import encoding
from driftlake.maths.arrays import Floats
from driftlake.privacy.personal_data import mask
from driftlake.training.learning import TrainingColumns, scores_of
from driftlake.vocabulary.wording import first_of

# Number of target values that a message shows.
_SHOWN_VALUES = 5
_HOW_TO_DECLARE = (
    "say which label is positive: `labels: {positive: ...}` in the lineage file, or `labels.positive` in driftlake.yaml;"
    " a model that predicts numbers or several classes needs `task: regression` or `task: multiclass`"
)


def meaning_of_target(file: LineageFile, data: TrainingColumns, settings: Settings) -> LabelMeaning | None:
    """The meaning of the labels of a binary version, as declared and with the negative label from the target; None if they are 0 and 1.

    Raises InputError if the target has other values.
    """
    declared = declared_meaning(file.record, settings)
    if file.record.task != "binary" or file.record.target is None or file.record.target not in data.types:
        return declared
    counts = _target_counts(data, file.record.target)
    if declared is None:
        if not counts.keys() <= {"0", "1"}:
            raise _refusal(file, counts, "expected 0 and 1", _HOW_TO_DECLARE)
        kind = data.types[file.record.target]
        # labels that are text in the training data are text in production, too
        is_plain = encoding.is_numeric(kind) or pa.types.is_boolean(kind)
        return None if is_plain or not counts else LabelMeaning("1", "0")
    if not counts:
        return declared
    if declared.positive not in counts:
        raise _refusal(
            file, counts, f"none of them the positive label {declared.positive}", "correct `labels.positive`"
        )
    others = counts.keys() - {declared.positive}
    if declared.negative is None and len(others) > 1:
        hint = "say which is negative, `labels: {positive: ..., negative: ...}`, and leave the other rows out"
        raise _refusal(file, counts, f"which is more than {declared.positive} and one other", hint)
    if declared.negative is not None and others - {declared.negative}:
        hint = "correct `labels.negative`, or leave the other rows out"
        raise _refusal(file, counts, f"expected {declared.positive} and {declared.negative}", hint)
    return LabelMeaning(declared.positive, declared.negative or next(iter(others), None))


def labels_and_scores(
    data: TrainingColumns, record: LineageRecord, meaning: LabelMeaning | None
) -> tuple[Floats, Floats]:
    """Target and score of the training rows, both of shape (rows,); nan where missing or not a number."""
    assert record.target
    target = data.column(record.target)
    nothing = np.full(len(target), np.nan)
    found = scores_of(data, record)
    scores = nothing if found is None else encoding.float_values(found)
    if meaning is not None:
        return _binary_labels(target, meaning), scores
    if pa.types.is_boolean(target.type):
        target = target.cast(pa.int8())
    is_counted = encoding.is_numeric(target.type) and record.task != "multiclass"
    return encoding.float_values(target) if is_counted else nothing, scores


def _binary_labels(column: pa.ChunkedArray, meaning: LabelMeaning) -> Floats:
    """The target as 1 for the positive label, 0 for the negative label and nan for other values, shape (rows,)."""
    positions, names = encoding.encode(column)
    values = [_binary_label(name, meaning) for name in names]
    labels: Floats = pa.array([*values, None], pa.float64()).to_numpy(zero_copy_only=False)[positions]
    return labels


def _binary_label(name: str | None, meaning: LabelMeaning) -> float | None:
    text = _as_text(name)
    if text is None:
        return None
    if text == meaning.positive:
        return 1.0
    return 0.0 if meaning.negative in {None, text} else None


def _as_text(name: str | None) -> str | None:
    text = label_text(name or "")
    return None if text.lower() in {"", "nan"} else text


def _target_counts(data: TrainingColumns, target: str) -> Counter[str]:
    """Numbers of rows by the canonical text of the target, without missing values."""
    counts: Counter[str] = Counter()
    if not encoding.is_category(data.types[target]):
        return counts
    for name, count in encoding.category_counts(data.column(target)).items():
        if (text := _as_text(name)) is not None:
            counts[text] += count
    return counts


def _refusal(file: LineageFile, counts: Counter[str], problem: str, hint: str) -> InputError:
    shown = mask(first_of([f"{text} ({count:,} rows)" for text, count in counts.most_common()], _SHOWN_VALUES))
    return InputError(
        f"{file.path}: the target {file.record.target} of {file.training_data} has the values {shown}, {problem}",
        hint=hint,
    )
