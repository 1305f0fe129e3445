"""Rules that inputs must meet, and what happens to rows that break them.

Not here: the rules (`expectations`).
"""

from __future__ import annotations

from typing import Literal

from pydantic import (
    Field,
)

from driftlake.config.base import Section, Share


class ContractSettings(Section):
    """Rules that inputs must meet, and what happens to rows that break them."""

    enabled: bool = Field(default=True, description="Check telemetry and labels before they are counted.")
    data_docs: bool = Field(
        default=True,
        description="Write Data Docs of Great Expectations for the last day of a run, into data_docs of the reports.",
    )
    suites: str = Field(
        default="expectations",
        description="Local folder of your own suites of Great Expectations: telemetry*.json, labels*.json, training*.json.",
    )
    severities: dict[str, Literal["error", "warning", "off"]] = Field(
        default_factory=dict,
        description="By the name of a rule of expectations/, e.g. score_is_a_probability: error. Rows that break a "
        "rule of "
        "severity error go to quarantine; rows that break a warning are counted and reported.",
    )
    largest_quarantined_share: Share = Field(
        default=0.5,
        description="Share of a day in quarantine above which the day is refused, because too little of it is left.",
    )
    missing_rate_increase: Share = Field(
        default=0.05,
        description="How much larger than in training the share of missing values of a feature may be, as a share of the rows.",
    )
    row_count_factor: float = Field(
        default=2.5,
        gt=1,
        description="Factor by which the row count may be above or below the median of the same weekdays of four "
        "weeks.",
    )
    quiet_hours: float = Field(
        default=12.0, gt=0, le=24, description="Hours without a prediction that are allowed before the end of a day."
    )
