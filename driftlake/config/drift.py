"""Sections about drift: statistics, thresholds, references, windows.

Not here: the statistics themselves (driftlake.maths.drift_statistics).
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal, get_args

from pydantic import (
    AfterValidator,
    Field,
    PositiveInt,
    model_validator,
)

from driftlake.config.base import Section, Share, Windows

ReferenceKind = Literal["training", "preceding", "four_weeks_before"]


def known_statistic(name: str) -> str:
    """Check that there is a statistic of this name."""
    # numpy and scipy are not needed to print a help text
    from driftlake.maths.drift_statistics import STATISTICS

    if name not in STATISTICS:
        raise ValueError(f"there is no statistic '{name}'; there are {', '.join(STATISTICS)}")
    return name


StatisticName = Annotated[str, AfterValidator(known_statistic)]


class Thresholds(Section):
    """Values of one statistic from which a comparison is called warn and drift."""

    warn: float = Field(gt=0, description="Absolute value from which the outcome is warn.")
    drift: float = Field(gt=0, description="Absolute value from which the outcome is drift.")

    @model_validator(mode="after")
    def _ordered(self) -> Thresholds:
        if self.drift < self.warn:
            raise ValueError(f"drift ({self.drift}) must not be smaller than warn ({self.warn})")
        return self


class DriftStatistics(Section):
    """Which statistics are computed; see docs/statistics.md for what each is good at."""

    numeric: tuple[StatisticName, ...] = Field(
        default=(
            "psi",
            "kl_divergence",
            "js_distance",
            "ks_distance",
            "wasserstein_distance",
            "missing_rate_change",
            "below_range_change",
            "above_range_change",
        ),
        description="Statistics of numbers, and of scores.",
    )
    categorical: tuple[StatisticName, ...] = Field(
        default=("psi", "kl_divergence", "js_distance", "missing_rate_change", "unseen_change"),
        description="Statistics of categories.",
    )

    @model_validator(mode="after")
    def _applicable(self) -> DriftStatistics:
        if not self.model_fields_set:
            return self
        from driftlake.maths.drift_statistics import STATISTICS

        for kind, names in (("numeric", self.numeric), ("categorical", self.categorical)):
            if wrong := [name for name in names if kind not in STATISTICS[name].kinds]:
                raise ValueError(f"{', '.join(wrong)}: not defined for {kind} features")
        return self

    def of(self, kind: str) -> tuple[str, ...]:
        """Statistics of a kind of feature."""
        return self.numeric if kind == "numeric" else self.categorical


def _free_name(name: str) -> str:
    if name in get_args(ReferenceKind):
        raise ValueError(f"'{name}' is the name of a built-in reference")
    return name


class _NamedReference(Section):
    name: Annotated[str, AfterValidator(_free_name)] = Field(
        pattern=r"^[a-z0-9][a-z0-9_-]*$", description="What the reference is called in the tables."
    )


class Period(_NamedReference):
    """Days that are known to be good, as a reference."""

    first_day: date = Field(description="First day of the period.")
    last_day: date = Field(description="Last day of the period.")

    @model_validator(mode="after")
    def _ordered(self) -> Period:
        if self.last_day < self.first_day:
            raise ValueError(f"last_day ({self.last_day}) must not be before first_day ({self.first_day})")
        return self


class OtherVersion(_NamedReference):
    """A version of the same model in production, as a reference for the other versions on the same days."""

    model_version: str = Field(description="The version, as in its lineage file.")


ReferenceSetting = ReferenceKind | Period | OtherVersion


class ImportanceSettings(Section):
    """When the importance of features counts as drifted. It is measured if telemetry has SHAP values."""

    minimum_ndcg: Share = Field(
        default=0.9,
        description="NDCG of the ranking below which it is drift; the default is that of Amazon SageMaker Clarify.",
    )
    dominant_share: Share = Field(
        default=0.3, description="Share of all importance from which a feature can be called dominant."
    )
    dominant_growth: float = Field(
        default=2.0,
        ge=1,
        description="Factor by which the share of a dominant feature must exceed its share in the reference.",
    )


class MultivariateSettings(Section):
    """Sizes of the samples for comparing all features at once."""

    sample_rows: PositiveInt = Field(
        default=2000,
        description="Predictions of a day, version and deployment that are kept as bins, and of a window that are "
        "compared: "
        "larger samples find smaller shifts. Days keep their sample until they are run again.",
    )
    reference_rows: PositiveInt = Field(
        default=10_000,
        description="Training rows that are kept as bins; versions that already have a sample keep it.",
    )


class DriftSettings(Section):
    """How drift is measured and judged."""

    windows_days: Windows = Field(default=(1, 7, 28), description="Windows ending with the day, in days.")
    extensions: tuple[str, ...] = Field(
        default=(), description="Python files that register statistics of your own; see docs/statistics.md."
    )
    statistics: DriftStatistics = DriftStatistics()
    thresholds: dict[StatisticName, Thresholds] = Field(
        default_factory=dict,
        description="Per statistic, e.g. psi: {warn: 0.2, drift: 0.4}; default: those of the statistic.",
    )
    references: tuple[ReferenceSetting, ...] = Field(
        default=("training",),
        min_length=1,
        description="What windows are compared with: training, preceding (the window before), four_weeks_before (the "
        "same weekdays), periods of your own, or another version.",
    )
    minimum_rows: PositiveInt = Field(
        default=200,
        description="With fewer rows a comparison is insufficient_data: the noise floor of PSI comes near 0.1.",
    )
    minimum_days_share: Share = Field(
        default=0.7,
        description="Share of a window's days that must have predictions, not counting days on which none are "
        "expected: 5 of 7, 20 of 28, and 4 of 5 working days. A window that lacks "
        "weekdays differs from training without any drift, so with a smaller share it is insufficient_data.",
    )
    false_alarm_rate: Share = Field(
        default=0.01, description="Largest q-value (Benjamini-Hochberg) at which a shift counts as real."
    )
    importance: ImportanceSettings = ImportanceSettings()
    other_features_bins: int | None = Field(
        default=None,
        ge=10,
        description="Largest number of bins of features that are not critical (models.<id>.critical), for versions "
        "registered from now on; null is full resolution. Fewer bins mean fewer rows, and less exact KS, Wasserstein "
        "and percentiles.",
    )
    rare_share: Share = Field(
        default=0.001, description="Share of the training rows below which a combination of two features is rare."
    )
    multivariate: MultivariateSettings | None = Field(
        default=None,
        description="Compare all features of a window with training at once, on samples, e.g. {sample_rows: 2000}; "
        "null is off.",
    )
    smoothing: float = Field(
        default=0.5,
        gt=0,
        description="Rows added to every bin, on both sides, before comparing; with more than 1,000 rows, per 1,000.",
    )

    @model_validator(mode="after")
    def _distinct_references(self) -> DriftSettings:
        names = [reference if isinstance(reference, str) else reference.name for reference in self.references]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"references: name used twice: {', '.join(twice)}")
        return self

    def thresholds_of(self, statistic: str) -> tuple[float | None, float | None]:
        """Values from which a statistic is called warn and drift; None if it is judged by its noise alone."""
        from driftlake.maths.drift_statistics import STATISTICS

        if given := self.thresholds.get(statistic):
            return given.warn, given.drift
        return STATISTICS[statistic].warn, STATISTICS[statistic].drift

    @property
    def headline_window_days(self) -> int:
        """The window that pages and summaries show: the one nearest to a week, the shorter one of two equally near."""
        return min(self.windows_days, key=lambda days: (abs(days - 7), days))
