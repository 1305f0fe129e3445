"""The metrics for Prometheus: name, meaning, labels, and the rows from which they are read.

Names follow the conventions of Prometheus. Labels name models, versions, deployments, statistics, rules, stages and
objectives, all of which the configuration and the registered versions bound; a feature has a series only while it
drifts. Not here: the formats (`driftlake.delivery.prometheus`).
"""

from __future__ import annotations

from dataclasses import dataclass

# Features that have a series of their own, of each model version and day.
FEATURE_LIMIT = 20

_VERSION = ("model_id", "model_version", "deployment")
_OBJECTIVE = ("slo", "model_id", "sli")


@dataclass(frozen=True, slots=True)
class RunMetric:
    """A gauge without labels about the newest run; past days have no such samples."""

    name: str
    meaning: str

    @property
    def full_name(self) -> str:
        """The name under which Prometheus knows it."""
        return f"driftlake_{self.name}"


@dataclass(frozen=True, slots=True)
class DayMetric(RunMetric):
    """A gauge about a day: its samples are the values of column `value` of the rows of sql/metrics/`rows`.sql, without the null ones."""

    rows: str
    value: str
    labels: tuple[str, ...]


RUN_METRICS = (
    RunMetric("last_run_timestamp_seconds", "Time at which the last run wrote these metrics."),
    RunMetric("newest_day_timestamp_seconds", "Start (UTC) of the newest day that was processed."),
    RunMetric("undelivered_notices", "Notices of incidents that could not be delivered to a channel."),
)

DAY_METRICS = (
    DayMetric(
        "model_verdict",
        "1 for the verdict of the newest day: harmed, broken, blind, watch or well.",
        "verdicts",
        "is_verdict",
        (*_VERSION, "verdict"),
    ),
    DayMetric(
        "open_incidents",
        "Open incidents. pages is true or false; model_id is empty if an incident is about several models.",
        "incidents",
        "incident_count",
        ("model_id", "severity", "kind", "pages"),
    ),
    DayMetric("alerts", "Alerts of the newest day.", "alerts", "alert_count", ("model_id", "rule", "severity")),
    DayMetric(
        "partition_is_complete",
        "1 if all input of the newest day was counted, otherwise 0.",
        "stages",
        "is_complete",
        ("stage",),
    ),
    DayMetric("predictions", "Predictions of the newest day.", "volume", "prediction_count", _VERSION),
    DayMetric(
        "performance",
        "Performance over the quality window by labels and estimates, in the unit of the statistic.",
        "performance",
        "value",
        (*_VERSION, "statistic"),
    ),
    DayMetric(
        "performance_confidence_low",
        "Lower end of the 95 % interval of the performance.",
        "performance",
        "confidence_low",
        (*_VERSION, "statistic"),
    ),
    DayMetric(
        "performance_confidence_high",
        "Upper end of the 95 % interval of the performance.",
        "performance",
        "confidence_high",
        (*_VERSION, "statistic"),
    ),
    DayMetric(
        "performance_baseline",
        "Baseline with which the performance is compared.",
        "performance",
        "baseline_value",
        (*_VERSION, "statistic"),
    ),
    DayMetric(
        "performance_tolerance",
        "How much worse than the baseline the performance may be.",
        "performance",
        "tolerance",
        (*_VERSION, "statistic"),
    ),
    DayMetric(
        "performance_loss_evidence",
        "Evidence, added up over nights, that the performance is worse than the tolerance allows: 0 is none, 1 pages.",
        "performance",
        "loss_evidence",
        (*_VERSION, "statistic"),
    ),
    DayMetric(
        "feature_drift_psi_max",
        "Largest PSI of a feature against training.",
        "features",
        "worst_psi",
        _VERSION,
    ),
    DayMetric(
        "features_drifting",
        "Number of features whose PSI against training counts as drift.",
        "features",
        "drifting_count",
        _VERSION,
    ),
    DayMetric(
        "feature_drift_psi",
        "PSI against training of a feature that drifts; at most"
        f" {FEATURE_LIMIT} features of a model version, those with the largest PSI.",
        "drifting_features",
        "psi",
        (*_VERSION, "feature"),
    ),
    DayMetric("score_drift_psi", "PSI of the scores against training.", "scores", "psi", _VERSION),
    DayMetric("labels_outstanding", "Predictions that have no label yet.", "labels", "outstanding_count", _VERSION),
    DayMetric(
        "labels_overdue_ratio",
        "Share of predictions whose label is overdue by the promised label delay.",
        "labels",
        "overdue_share",
        _VERSION,
    ),
    DayMetric(
        "labels_overdue_noise_ratio",
        "Largest share of overdue labels that is within noise.",
        "labels",
        "noise_share",
        _VERSION,
    ),
    DayMetric("slo_objective_ratio", "Share of the events that should be good.", "objectives", "objective", _OBJECTIVE),
    DayMetric(
        "slo_error_budget_remaining_ratio",
        "Share of the error budget of the period that is left; negative if it is overspent.",
        "objectives",
        "budget_remaining",
        _OBJECTIVE,
    ),
    DayMetric(
        "slo_burn_rate",
        "Rate at which the error budget burns over window (1d, 3d, 7d, 28d): 1 spends it exactly in the period.",
        "burn_rates",
        "burn_rate",
        (*_OBJECTIVE, "window"),
    ),
)
