"""Confidence intervals of shares: pure functions that take arrays.

Not here: the interval of an AUC (ranking.py).
"""

from __future__ import annotations

import numpy as np
from scipy import special

from driftlake.arrays import Counts, Floats
from driftlake.ranking import CONFIDENCE


def wilson_interval(hits: Counts | Floats, size: Counts) -> tuple[Floats, Floats]:
    """Interval of the share hits / size, each of shape (...), within 0..1; nan where size is 0.

    The score interval of Wilson (1927), which holds its promise for few rows and for shares near 0 and 1 (Brown, Cai and
    DasGupta 2001).
    """
    z = special.ndtri((1 + CONFIDENCE) / 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = hits / size
        weight = 1 + z**2 / size
        middle = (share + z**2 / (2 * size)) / weight
        half = z / weight * np.sqrt(share * (1 - share) / size + z**2 / (4 * size**2))
    # rounding must not leave the share outside
    return np.minimum(middle - half, share), np.maximum(middle + half, share)
