"""NannyML: the Jensen-Shannon distance of every column, the day in one chunk. It learns from the sample beforehand."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from frames import NUMERIC, TEXT, time_frames
from nannyml import UnivariateDriftCalculator


def prepare(training: Any) -> Callable[[Any], object]:
    warnings.filterwarnings("ignore", message="The resulting number of chunks is too low")
    calculator = UnivariateDriftCalculator(
        column_names=NUMERIC + TEXT,
        continuous_methods=["jensen_shannon"],
        categorical_methods=["jensen_shannon"],
        chunk_number=1,
    ).fit(training)
    return lambda current: calculator.calculate(current).to_df()


if __name__ == "__main__":
    time_frames("nannyml", prepare)
