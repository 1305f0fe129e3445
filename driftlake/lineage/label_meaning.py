"""Which label of a binary model is positive: what lineage files and `labels` of driftlake.yaml say, as one canonical text.

Not here: the target of training data held against it (`driftlake.training.targets`), and joining labels
(`driftlake.profiles.label_join`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from driftlake.config import Settings
from driftlake.config.inputs import LabelValue
from driftlake.lineage.lineage_files import LineageRecord

# What YAML reads as truth values, so that `positive: yes` and the labels True, 1 and "yes" say the same.
_TRUTH = {"true": "1", "yes": "1", "on": "1", "false": "0", "no": "0", "off": "0"}


@dataclass(frozen=True, slots=True)
class LabelMeaning:
    """Canonical texts of the positive and the negative label; without a negative one every other label is negative."""

    positive: str
    negative: str | None = None


def label_text(value: LabelValue) -> str:
    """A label as sql/macros/label_text.sql writes it: whole numbers without decimals, truth values as 1 and 0."""
    if isinstance(value, bool | int):
        return str(int(value))
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else str(value)
    return _TRUTH.get(value.lower(), re.sub(r"^(-?[0-9]+)\.0+$", r"\1", value))


def declared_meaning(record: LineageRecord, settings: Settings) -> LabelMeaning | None:
    """What the lineage of a version says, or else driftlake.yaml; None if labels are 0 and 1."""
    if record.task != "binary":
        return None
    declared = record.labels or settings.labels
    if declared is None or declared.positive is None:
        return None
    negative = None if declared.negative is None else label_text(declared.negative)
    return LabelMeaning(label_text(declared.positive), negative)
