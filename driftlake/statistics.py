"""The old place of `Statistic`, `register` and `resampled`, for extensions that import them from here."""

import warnings

from driftlake.maths.drift_statistics import Statistic, resampled
from driftlake.maths.drift_statistics import register_statistic as register

__all__ = ["Statistic", "register", "resampled"]

warnings.warn(
    "driftlake.statistics has moved: use `from driftlake import Statistic, register_statistic, resampled`",
    FutureWarning,
    stacklevel=2,
)
