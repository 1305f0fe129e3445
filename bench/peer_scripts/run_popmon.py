"""popmon: histograms in the bins of the training sample, without the stability report on them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from frames import NUMERIC, TEXT, time_frames
from popmon import make_histograms


def prepare(training: Any) -> Callable[[Any], object]:
    features = NUMERIC + TEXT
    _, _, bins, _, _ = make_histograms(training, features=features, ret_specs=True)
    return lambda current: make_histograms(current, features=features, bin_specs=bins)


if __name__ == "__main__":
    time_frames("popmon", prepare)
