"""whylogs: the profile of the day, without a comparison with the training sample."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import whylogs
from frames import time_frames


def prepare(_: Any) -> Callable[[Any], object]:
    return lambda current: whylogs.log(current).view()


if __name__ == "__main__":
    time_frames("whylogs", prepare)
