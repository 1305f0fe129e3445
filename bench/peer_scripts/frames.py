"""Times a peer on the day as a pandas frame. What it does with the training sample beforehand is not timed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pandas as pd
from protocol import WARM_UP_ROWS, clock, tell

# The features as bench/wide_day.py names them.
NUMERIC = [f"n{i:03d}" for i in range(30)]
TEXT = [f"t{i:03d}" for i in range(10)]


def time_frames(package: str, prepare: Callable[[Any], Callable[[Any], object]]) -> None:
    """`prepare` takes the training sample and returns the function that is timed on a day."""
    training, day = sys.argv[1:]
    work = prepare(_read(training))
    reading_seconds, current = clock(lambda: _read(day))
    work(current.head(WARM_UP_ROWS))
    seconds, _ = clock(lambda: work(current))
    tell(package, seconds, reading_seconds)


def _read(path: str) -> Any:
    return pd.read_parquet(path, columns=NUMERIC + TEXT)
