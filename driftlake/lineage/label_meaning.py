"""Which label of a binary model is positive, as declared in lineage files or under `labels` in driftlake.yaml.

Not here: checking the target of training data against it (`driftlake.training.targets`), and joining labels
(`driftlake.profiles.label_join`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from driftlake.config import Settings
from driftlake.config.inputs import LabelValue
from driftlake.lineage.lineage_files import LineageRecord

# Texts that YAML reads as truth values, so that `positive: yes` means the same as the labels True, 1 and "yes".
_TRUTH = {"true": "1", "yes": "1", "on": "1", "false": "0", "no": "0", "off": "0"}


@dataclass(frozen=True, slots=True)
class LabelMeaning:
    """Canonical texts of the positive and the negative label; without a negative one every other label is negative."""

    positive: str
    negative: str | None = None


def label_text(value: LabelValue) -> str:
    """A label as sql/macros/label_text.sql writes it: whole numbers without decimals, booleans as 1 and 0."""
    if isinstance(value, bool | int):
        return str(int(value))
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else str(value)
    return _TRUTH.get(value.lower(), re.sub(r"^(-?[0-9]+)\.0+$", r"\1", value))


def declared_meaning(record: LineageRecord, settings: Settings) -> LabelMeaning | None:
    """The declaration in the lineage of a version, or else in driftlake.yaml; None if labels are 0 and 1."""
    if record.task != "binary":
        return None
    declared = record.labels or settings.labels
    if declared is None or declared.positive is None:
        return None
    negative = None if declared.negative is None else label_text(declared.negative)
    return LabelMeaning(label_text(declared.positive), negative)
