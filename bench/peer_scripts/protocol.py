"""Shared by the scripts in this folder: the clock, and the line that bench/peers.py reads. Runs in any environment."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

# Rows of a warm-up day before the timed one: it triggers the imports of a first call and takes negligible time.
WARM_UP_ROWS = 1_000


def clock(work: Callable[[], Any]) -> tuple[float, Any]:
    """The seconds that `work` took, and what it returned."""
    started = time.perf_counter()
    result = work()
    return time.perf_counter() - started, result


def tell(package: str, seconds: float, reading_seconds: float) -> None:
    """The last line of the output; libraries may print what they like before it."""
    print(json.dumps({"version": version(package), "seconds": seconds, "reading_seconds": reading_seconds}))
