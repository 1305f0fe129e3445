"""Categories that training wrote differently: booleans as 1 or True, whole numbers as 3.0, decimals as 2.50.

The categories of the training data decide how an unknown text is read. Not here: the text of a stored value
(`driftlake.maths.value_text`).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from driftlake.maths.value_text import without_trailing_zeros

_TRUTH = {"true": "1", "false": "0"}
_SPELLED = {**_TRUTH, "True": "1", "TRUE": "1", "False": "0", "FALSE": "0", "1": "1", "0": "0", "1.0": "1", "0.0": "0"}
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")
_WHOLE = re.compile(r"(-?[0-9]+)\.0+")
# as in the names of folders: hour=03
_PADDED = re.compile(r"(-?)0+([0-9]+)")


@dataclass(frozen=True, slots=True)
class Spelling:
    """Known categories by their meaning: booleans as 1 and 0, or numbers without trailing zeros."""

    is_truth: bool
    by_meaning: Mapping[str, str]
    # whether some known number has leading zeros
    is_padded: bool = False

    @classmethod
    def of(cls, categories: Collection[str]) -> Spelling:
        """The spelling of some categories. If they are neither booleans nor numbers, it allows only the exact text."""
        if categories and all(name in _SPELLED for name in categories):
            by_meaning = {_SPELLED[name]: name for name in categories}
            # if both 1 and True occur, they are plain texts
            if len(by_meaning) == len(categories):
                return cls(True, by_meaning)
        if categories and all(_NUMBER.fullmatch(name) for name in categories):
            by_meaning = {without_trailing_zeros(name): name for name in categories}
            if len(by_meaning) == len(categories):
                return cls(False, by_meaning, any(map(_PADDED.fullmatch, by_meaning)))
        return cls(False, {})

    @property
    def is_flexible(self) -> bool:
        """Whether a text may stand for another."""
        return bool(self.by_meaning)

    def known(self, name: str) -> str | None:
        """The known category with the meaning of a text; None if there is none.

        Only whole numbers are read as numbers: 1.10 may be a version. So are numbers with leading zeros, unless a known
        category has some.
        """
        if self.is_truth:
            return self.by_meaning.get(_SPELLED.get(name, ""))
        whole = _WHOLE.fullmatch(name)
        text = whole[1] if whole else name
        if text not in self.by_meaning and not self.is_padded and (padded := _PADDED.fullmatch(text)):
            text = padded[1] + padded[2]
        return self.by_meaning.get(text)
