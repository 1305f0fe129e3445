"""Service level objectives.

Not here: measuring them (driftlake.alerts.slos).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import (
    AfterValidator,
    Field,
    PositiveInt,
    model_validator,
)

from driftlake.config.base import Section
from driftlake.config.drift import known_statistic

# The indicators, each with its own keys.
_SLI_KEYS: Mapping[str, tuple[str, ...]] = {
    "latency": ("under_ms", "metric"),
    "availability": (),
    "quality": ("tolerance", "statistic", "window_days"),
    "label_timeliness": ("within_days",),
    "drift_share": ("statistic", "window_days", "features"),
    "completeness": (),
}

_NEEDED_SLI_KEYS = ("under_ms", "tolerance", "within_days")

_QUALITY_STATISTICS = ("auc", "estimated_auc", "accuracy", "estimated_accuracy", "mean_absolute_error")


def _known_sli(name: str) -> str:
    if name not in _SLI_KEYS:
        raise ValueError(f"there is no SLI '{name}'; there are {', '.join(_SLI_KEYS)}")
    return name


class SloSettings(Section):
    """A service level objective: the share of events that should be good in a period."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", description="Name of the objective: letters, digits, - and _.")
    model: str | None = Field(default=None, description="Model the objective is about; null is each model separately.")
    deployments: tuple[str, ...] = Field(default=("production",), description="Deployments whose events count.")
    sli: Annotated[str, AfterValidator(_known_sli)] = Field(
        description="latency, availability, quality, label_timeliness, drift_share or completeness; see "
        "docs/service-levels.md."
    )
    objective: float = Field(gt=0, lt=1, description="Share of the events that should be good, e.g. 0.99.")
    period_days: PositiveInt = Field(default=28, description="Length of the period in days, ending with each day.")
    under_ms: float | None = Field(
        default=None, gt=0, description="latency: milliseconds below which a prediction is good."
    )
    metric: str | None = Field(default=None, description="latency: latency_ms (null) or one of telemetry.latencies.")
    tolerance: float | None = Field(
        default=None, ge=0, description="quality: how much worse than its baseline a version may be."
    )
    statistic: str | None = Field(
        default=None,
        description="quality: auc (null), estimated_auc, accuracy, estimated_accuracy or mean_absolute_error. "
        "drift_share: a drift statistic, psi if null.",
    )
    window_days: PositiveInt | None = Field(
        default=None, description="quality, drift_share: window of the statistic; null is the one that reports show."
    )
    within_days: PositiveInt | None = Field(
        default=None, description="label_timeliness: days after the prediction within which its label should arrive."
    )
    features: tuple[str, ...] = Field(default=(), description="drift_share: features that count; default: all.")

    @model_validator(mode="after")
    def _consistent(self) -> SloSettings:
        allowed = _SLI_KEYS[self.sli]
        if missing := [key for key in _NEEDED_SLI_KEYS if key in allowed and getattr(self, key) is None]:
            raise ValueError(f"{self.sli} needs {', '.join(missing)}")
        given = {key for keys in _SLI_KEYS.values() for key in keys if getattr(self, key) not in (None, ())}
        if foreign := sorted(given - set(allowed)):
            raise ValueError(f"{', '.join(foreign)}: not a key of {self.sli}, which has {', '.join(allowed) or 'none'}")
        if self.sli == "quality" and self.statistic not in (None, *_QUALITY_STATISTICS):
            raise ValueError(
                f"there is no quality statistic '{self.statistic}'; there are {', '.join(_QUALITY_STATISTICS)}"
            )
        if self.sli == "drift_share" and self.statistic is not None:
            known_statistic(self.statistic)
        return self
