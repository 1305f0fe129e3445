"""Alert rules, the default rules, and which alerts form an incident.

Not here: raising them (driftlake.alerts.rules).
"""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, Literal

from pydantic import (
    Discriminator,
    Field,
    PositiveInt,
    Tag,
    model_validator,
)

from driftlake.config.base import Section
from driftlake.config.signals import AlertSignal, signal_of
from driftlake.config.strict_yaml import FORM
from driftlake.vocabulary.runbooks import link_of
from driftlake.vocabulary.signals import SIGNAL_SOURCES, Kind, Signal

_EVENT_SOURCES = sorted(source.name for source in SIGNAL_SOURCES.values() if source.is_event)


class AlertRule(Section):
    """When a signal becomes an alert."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", description="Name of the rule: letters, digits, - and _.")
    signal: AlertSignal = Field(description="The watched signal; larger is worse.")
    kind: Kind | None = Field(
        default=None,
        description="What the rule finds: harm (performance is worse), break (data is broken), blind (performance "
        "is unknown), service or drift; null is the kind of its signal. All alerts of an incident are of one "
        "kind.",
    )
    pages: bool | None = Field(
        default=None,
        description="Whether an incident pages when an alert of the rule is critical; null is false for rules that find drift, and true for others.",
    )
    window_days: PositiveInt = Field(default=7, description="Window of the signal; signals of a single day ignore it.")
    warn: float = Field(description="Value from which the rule fires.")
    critical: float = Field(description="Value from which the alert is critical.")
    minimum_sample: int = Field(default=0, ge=0, description="The rule never fires with fewer rows.")
    consecutive_days: PositiveInt = Field(
        default=1, description="Days in a row that the value must be at least warn before the rule fires."
    )
    resolve: float | None = Field(
        default=None, description="Value below which an open alert is resolved; null is 0.8 x warn."
    )
    resolve_after_days: PositiveInt | None = Field(
        default=None,
        description="Days without a value after which an open alert is resolved; null is 3, and 1 for signals that "
        "have "
        f"values only when something happened: {', '.join(_EVENT_SOURCES)}.",
    )
    models: tuple[str, ...] = Field(default=(), description="Models the rule applies to; default: all.")
    features: tuple[str, ...] = Field(
        default=(), description="Features the rule applies to, or latency columns for signals of latency; default: all."
    )
    except_features: tuple[str, ...] = Field(
        default=(), description="Features the rule does not apply to, e.g. because another rule does."
    )
    deployments: tuple[str, ...] = Field(
        default=("production", "shadow", "canary"), description="Deployments the rule applies to."
    )
    references: tuple[str, ...] = Field(
        default=("training",),
        description="References the rule applies to, by name; signals without a reference ignore it.",
    )
    opening_reference: str | None = Field(
        default=None,
        description="Reference, e.g. preceding, against which the value must also have reached warn before the "
        "rule opens, so that a sudden change opens it and a gradual seasonal change does not. A new version is "
        "compared with the one before; the first version opens no alert.",
    )
    each_segment: bool = Field(default=False, description="Whether the rule also applies to every segment.")
    segments: tuple[str, ...] = Field(
        default=(), description="Segments the rule applies to instead of the whole, e.g. [country=fr]."
    )
    owner: str | None = Field(default=None, description="Who is responsible.")
    runbook: str | None = Field(default=None, description="A link or a path to instructions.")

    @model_validator(mode="after")
    def _ordered(self) -> AlertRule:
        if self.critical < self.warn:
            raise ValueError(f"critical ({self.critical}) must not be smaller than warn ({self.warn})")
        if self.resolve is not None and self.resolve > self.warn:
            raise ValueError(f"resolve ({self.resolve}) must not be larger than warn ({self.warn})")
        if self.each_segment and self.segments:
            raise ValueError(
                "each_segment applies the rule to every segment, and segments to some of them: leave one of the two keys out"
            )
        return self

    @property
    def signal_record(self) -> Signal:
        """The record of the rule's signal."""
        return signal_of(self.signal)

    @property
    def effective_kind(self) -> Kind:
        """The configured kind, or that of the signal."""
        return self.kind or self.signal_record.kind

    @property
    def is_paging(self) -> bool:
        """Whether its critical alerts make an incident page."""
        return self.effective_kind != "drift" if self.pages is None else self.pages

    @property
    def resolve_below(self) -> float:
        """Value below which an open alert is resolved: lower than the one that opens it, so that it does not flap."""
        return min(self.warn, 0.8 * self.warn if self.resolve is None else self.resolve)

    @property
    def effective_resolve_after_days(self) -> int:
        """Days without a value after which an open alert is resolved."""
        return self.resolve_after_days or (1 if self.signal_record.source.is_event else 3)


@cache
def default_alerts() -> tuple[AlertRule, ...]:
    """The rules that are in force unless driftlake.yaml has its own."""
    return (
        AlertRule(
            name="feature-drift",
            signal="feature_drift.psi",
            window_days=7,
            warn=0.1,
            critical=0.25,
            minimum_sample=500,
            consecutive_days=3,
            runbook=link_of("feature-drift"),
        ),
        AlertRule(
            name="feature-break",
            signal="feature_breaks.share",
            warn=0.05,
            critical=0.1,
            # a feed that fails on and off is one alert
            resolve_after_days=3,
            runbook=link_of("feature-break"),
        ),
        AlertRule(
            name="lost-volume",
            signal="prediction_volume.lost_share",
            warn=0.4,
            critical=0.4,
            # shadows and canaries end as planned
            deployments=("production",),
            runbook=link_of("lost-volume"),
        ),
        AlertRule(
            name="score-drift",
            signal="prediction_drift.psi",
            window_days=7,
            warn=0.1,
            critical=0.25,
            minimum_sample=500,
            consecutive_days=3,
            runbook=link_of("score-drift"),
        ),
        AlertRule(
            name="performance-loss",
            signal="performance.loss_evidence",
            warn=0.7,
            critical=1,
            deployments=("production", "canary"),
            runbook=link_of("performance-loss"),
        ),
        AlertRule(
            name="labels-overdue",
            signal="label_backlog.overdue_share",
            warn=0.05,
            critical=0.15,
            minimum_sample=500,
            runbook=link_of("labels-overdue"),
        ),
        AlertRule(
            name="broken-contract",
            signal="contract_checks.failed",
            warn=1,
            critical=1,
            runbook=link_of("broken-contract"),
        ),
        # rows that were left out, counted once or look wrong: an unknown version, a missing day, duplicates
        AlertRule(
            name="doubtful-input",
            signal="contract_checks.warning_share",
            warn=0.02,
            critical=0.5,
            runbook=link_of("doubtful-input"),
        ),
        # counts columns lost at once; a feature among them breaks its contract as well
        AlertRule(
            name="lost-columns", signal="schema_changes.lost", warn=1, critical=10, runbook=link_of("lost-columns")
        ),
        # without configured objectives, this signal has no values
        AlertRule(
            name="error-budget",
            signal="slo_status.budget_spent",
            warn=0.75,
            # while there is something left to save
            critical=0.9,
            runbook=link_of("error-budget"),
        ),
    )


class AlertSettings(Section):
    """Rules, and how often they may page although nothing is wrong."""

    false_pages_per_year: float = Field(
        default=1.0,
        gt=0,
        description="Accepted number of false pages a year, for the whole installation: pages although no model is worse than its tolerance.",
    )
    rules: tuple[AlertRule, ...] | None = Field(
        default=None, description="Alert rules; if any are given, they replace the default rules below."
    )


def _form(given: Any) -> Literal["form-list", "form-mapping"]:
    return "form-mapping" if isinstance(given, (dict, AlertSettings)) else "form-list"


# A list of rules, or a mapping that has them.
AlertsSection = Annotated[
    Annotated[tuple[AlertRule, ...], Tag(f"{FORM}list")] | Annotated[AlertSettings, Tag(f"{FORM}mapping")],
    Discriminator(_form),
]


class IncidentSettings(Section):
    """Which alerts form one incident."""

    join_days: int = Field(
        default=3,
        ge=0,
        description="Alerts that begin at most this many days after an incident began belong to it. The same "
        "alerts reopen it if they return within this many days after they were resolved.",
    )
