"""The worked examples of docs/statistics.md: its arithmetic, its numbers and the registered statistics say the same."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pytest

from driftlake.maths.arrays import Counts
from driftlake.maths.drift_statistics import STATISTICS, Sides

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "statistics.md").read_text()
# name, side, rows per bin
COUNTED = re.findall(r"^\| `(\w+)`, (training|window) \| ([\d |]+) \|$", PAGE, re.MULTILINE)
# statistic, feature, arithmetic, value, noise floor, p-value
EXAMPLES = re.findall(r"^\| `(\w+)` \| `(\w+)` \| `(.+)` \| (\S+) \| (\S+) \| (\S+) \|$", PAGE, re.MULTILINE)
ENDS = {"amount": np.array([[0.0, 10.0], [10.0, 20.0]])}
ARITHMETIC = {"ln": math.log, "log2": math.log2, "sqrt": math.sqrt, "abs": abs, "__builtins__": {}}


def counts(feature: str, side: str) -> Counts:
    """Rows per stored bin, as the page has them."""
    [found] = [cells for name, of_side, cells in COUNTED if (name, of_side) == (feature, side)]
    return np.array([int(cell) for cell in found.split("|")])


def test_every_statistic_has_a_worked_example() -> None:
    assert [example[0] for example in EXAMPLES] == list(STATISTICS)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example[0])
def test_the_arithmetic_of_the_page_gives_the_value_of_the_page(example: tuple[str, ...]) -> None:
    _, _, arithmetic, value, _, _ = example
    assert f"{eval(arithmetic, dict(ARITHMETIC)):.3g}" == value  # our own page


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example[0])
def test_a_statistic_gives_the_numbers_of_the_page(example: tuple[str, ...]) -> None:
    name, feature, _, *numbers = example
    current, reference = counts(feature, "window"), counts(feature, "training")
    ends = ENDS.get(feature, np.full((2, 2), np.nan))
    found = STATISTICS[name].compare(Sides(current, reference, current, reference, ends, 0.5))
    assert [f"{part:.3g}" for part in (found.value, found.noise_floor, found.p_value)] == numbers
