"""Sections about quality and about single models.

Not here: what is declared about a version, which is in its lineage file.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    Field,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from driftlake.config.base import Section, Windows


def _distinct_pairs(pairs: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    unordered = [frozenset(pair) for pair in pairs]
    if any(len(pair) < 2 for pair in unordered):
        raise ValueError("a pair has two different features")
    if len(set(unordered)) < len(pairs):
        raise ValueError("a pair is listed twice")
    return pairs


class QualitySettings(Section):
    """How model quality is measured."""

    windows_days: Windows = Field(default=(1, 7, 28), description="Prediction days in the window, ending with the day.")
    minimum_labels_per_class: PositiveInt = Field(
        default=10,
        description="Smallest number of positives, and of negatives, for an AUC; with fewer it is insufficient_data.",
    )
    calibration_days: PositiveInt = Field(
        default=90,
        description="Number of days up to each day. The labels of these days and the training data say which "
        "probability a score has in estimates.",
    )
    minimum_calibration_labels: PositiveInt = Field(
        default=1000,
        description="With fewer labels than this in calibration_days, estimates use the training data alone.",
    )

    @property
    def headline_window_days(self) -> int:
        """The window that pages and summaries show: the longest, because labels are few."""
        return max(self.windows_days)


class Downtime(Section):
    """Planned downtime, during which no notices about the model are sent."""

    first_day: date = Field(description="First day.")
    last_day: date = Field(description="Last day.")
    reason: str = Field(description="What is planned.")

    @model_validator(mode="after")
    def _ordered(self) -> Downtime:
        if self.last_day < self.first_day:
            raise ValueError(f"last_day ({self.last_day}) must not be before first_day ({self.first_day})")
        return self


STATISTICS_OF_PERFORMANCE = ("auc", "log_loss", "brier_score", "accuracy", "f1_score", "mean_absolute_error")


class CustomMetric(Section):
    """A metric of your own: one sum over the labels divided by another, e.g. the cost of a decision.

    Both are SQL expressions over the columns positive_count, negative_count, number_count, log_loss_sum,
    squared_error_sum, true_positive_count, false_positive_count and absolute_error_sum of label_cohorts.
    """

    sum: str = Field(
        description="What is summed, e.g. 5 * false_positive_count + 120 * (positive_count - true_positive_count)."
    )
    per: str = Field(
        default="positive_count + negative_count + number_count",
        description="What the sum is divided by; by default the number of labels.",
    )
    better: Literal["higher", "lower"] = Field(description="Whether a higher or a lower value is better.")
    baseline: float | None = Field(default=None, description="Usual value; without one the metric is not tested.")
    tolerance: PositiveFloat | None = Field(
        default=None,
        description="How much worse than the baseline the metric may be; without it the metric is not tested.",
    )

    @model_validator(mode="after")
    def _can_be_computed(self) -> CustomMetric:
        # numpy and duckdb are imported only if there is a metric
        from driftlake.maths import cohort_expressions

        for expression in (self.sum, self.per):
            cohort_expressions.check(expression)
        if (self.baseline is None) != (self.tolerance is None):
            raise ValueError("baseline and tolerance go together: give both, or neither")
        return self


Tier = Literal["high", "normal", "low"]
# How much a model counts compared with one of tier normal.
TIER_WEIGHTS: Mapping[Tier, float] = {"high": 4.0, "normal": 1.0, "low": 0.25}


class ModelSettings(Section):
    """Settings of a model that are not in its lineage, and corrections to what is learned from its training data."""

    owner: str | None = Field(
        default=None,
        description="Who is responsible for the model: shown on the page of all models, which can be filtered by it. "
        "Without one it is the owner of its most urgent alert.",
    )
    tier: Tier = Field(
        default="normal",
        description="How important the model is: high, normal or low. A model of tier high counts four times as much as a normal one, "
        "and one of tier low a quarter: in the share of alerts.false_pages_per_year that it gets, and in the importance from which a "
        "broken feature pages.",
    )
    categorical: tuple[str, ...] = Field(default=(), description="Features to count as categories whatever their type.")
    numeric: tuple[str, ...] = Field(default=(), description="Integer features to count as numbers.")
    decision_cut: float | None = Field(
        default=None, description="Smallest score that counts as a positive prediction; null is 0.5 for a probability."
    )
    tolerance: dict[
        Literal["auc", "log_loss", "brier_score", "accuracy", "f1_score", "mean_absolute_error"], PositiveFloat
    ] = Field(
        default_factory=dict,
        description="By statistic, how much worse than its baseline the model may be, e.g. {auc: 0.03}. Every "
        "statistic listed here is tested if it has a baseline. Defaults, also used if not listed: 0.02 for auc, and for "
        "accuracy and f1_score if the lineage states them; a tenth of the baseline for mean_absolute_error.",
    )
    metrics: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")], CustomMetric] = Field(
        default_factory=dict, description="Metrics of your own, by name: rows of the table performance."
    )
    critical: tuple[str, ...] = Field(
        default=(),
        description="Features that keep full resolution regardless of drift.other_features_bins, and whose breaks "
        "page however small their importance is.",
    )
    pairs: Annotated[tuple[tuple[str, str], ...], AfterValidator(_distinct_pairs)] = Field(
        default=(),
        description="Pairs of features to count together, e.g. [[channel, country]]: combinations that are rare in "
        "training are reported when they become frequent in production.",
    )
    sampling_rate: float = Field(
        default=1.0,
        gt=0,
        le=1,
        description="Share of the predictions to count, chosen by a hash of the correlation id: the same rows in "
        "every run. "
        "Segments are sampled at the same rate.",
    )

    downtime: tuple[Downtime, ...] = Field(
        default=(),
        description="Planned downtime: incidents of these days are marked and no notices are sent. They stay in the "
        "tables.",
    )

    @model_validator(mode="after")
    def _disjoint(self) -> ModelSettings:
        if both := sorted(set(self.categorical) & set(self.numeric)):
            raise ValueError(f"{', '.join(both)}: listed as categorical and as numeric")
        if taken := sorted({*self.metrics} & {*STATISTICS_OF_PERFORMANCE}):
            raise ValueError(f"metrics: {', '.join(taken)} is the name of a statistic that is always measured")
        return self
