"""The signals that alert rules can watch. Rules, sentences, verdicts, queries and documentation use these records.

To add a signal, add a record to SIGNALS and, if its source is new, a record to SIGNAL_SOURCES and a query in
sql/signals/. Signals of drift are derived from the registered statistics by `driftlake.config.signals`. Not here:
values (the view sli_history), and how a number is written (`driftlake.vocabulary.wording`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

Unit = Literal["number", "count", "percent", "percentage points", "ms"]
# Kinds of findings: performance is worse, data is broken, performance is unknown, a service is bad, a distribution has changed.
Kind = Literal["harm", "break", "blind", "service", "drift"]

# The name of the column that an alert is about, if it is a feature of the model.
FEATURE = "feature"


@dataclass(frozen=True, slots=True)
class SignalSource:
    """A table that signals are measured in; sql/signals/<name>.sql reads their values from it.

    Attributes
    ----------
    windows : the section of the settings that has its windows; None if a value is about one day
    is_event : whether there are values only on days on which something happened
    about : column of the table that becomes the `feature` of an alert; None if there is none, or it is made of several columns
    condition : SQL condition, besides the key, for the rows of the table from which an alert comes
    table_name : the table, if its name is not `name`
    """

    name: str
    windows: Literal["drift", "quality"] | None = None
    is_event: bool = False
    about: str | None = None
    condition: str | None = None
    table_name: str | None = None

    @property
    def table(self) -> str:
        """The table in which the value of an alert is stored."""
        return self.table_name or self.name

    @property
    def prefix(self) -> str:
        """The beginning of the names of its signals."""
        return f"{self.name}."


FEATURE_DRIFT = SignalSource("feature_drift", "drift", about=FEATURE)
PREDICTION_DRIFT = SignalSource("prediction_drift", "drift")
MODEL_QUALITY = SignalSource("model_quality", "quality")
PERFORMANCE = SignalSource("performance", about="statistic")
LABEL_BACKLOG = SignalSource("label_backlog")
SERVICE_LEVELS = SignalSource("service_levels", about="metric")
SLO_STATUS = SignalSource("slo_status", about="slo")
CONTRACT_CHECKS = SignalSource("contract_checks", is_event=True, condition="outcome = 'failed'")
FEATURE_BREAKS = SignalSource("feature_breaks", is_event=True, about=FEATURE, table_name="feature_stats")
FEATURE_SKEW = SignalSource("feature_skew", about=FEATURE)
PREDICTION_VOLUME = SignalSource("prediction_volume")

# Every registered statistic is a signal of each of them.
DRIFT_SOURCES = (FEATURE_DRIFT, PREDICTION_DRIFT)

SIGNAL_SOURCES: Mapping[str, SignalSource] = {
    source.name: source
    for source in (
        *DRIFT_SOURCES,
        FEATURE_BREAKS,
        FEATURE_SKEW,
        PREDICTION_VOLUME,
        MODEL_QUALITY,
        PERFORMANCE,
        LABEL_BACKLOG,
        SignalSource("importance_drift", "drift"),
        SignalSource("rare_combinations", "drift", is_event=True),
        SignalSource("multivariate_drift", "drift"),
        # a candidate may be compared with two production versions in one window
        SignalSource("shadow_comparison", "quality", about="production_version"),
        SERVICE_LEVELS,
        SLO_STATUS,
        CONTRACT_CHECKS,
        SignalSource("schema_changes", is_event=True, about="column_name"),
    )
}


@dataclass(frozen=True, slots=True)
class Signal:
    """A signal that a rule can watch; larger is worse.

    Attributes
    ----------
    name : source.statistic
    kind : kind of a finding, unless the rule sets another
    measure : what it measures, in a few words
    sentence : template of the message of an alert, with `who`, `feature`, `value`, `days`, `reference` and `measure`;
        None if the query of the source gives it as `detail`
    finding : template of what a verdict says about all alerts of a day, with their number as `alerts`, `features` or
        `checks`, the `feature` and `value` of the worst, and its `rule`; None if the main sentence of the verdict
        covers it
    """

    name: str
    kind: Kind
    measure: str
    unit: Unit
    sentence: str | None = None
    finding: str | None = "{alerts} of rule {rule} (worst: {value})"

    @property
    def source(self) -> SignalSource:
        """The source in which it is measured; a stored alert may have a source that no longer exists."""
        name = self.name.partition(".")[0]
        return SIGNAL_SOURCES.get(name) or SignalSource(name)


SIGNALS: Mapping[str, Signal] = {
    signal.name: signal
    for signal in (
        Signal(
            "model_quality.auc_drop",
            "harm",
            "AUC of known labels below its baseline",
            "number",
            "the AUC of {who} is {value} below its baseline {days}",
            finding=None,
        ),
        Signal(
            "performance.loss_evidence",
            "harm",
            "evidence, added up over nights, that a model is worse than its baseline by more than its tolerance; it pages at 1",
            "number",
            "{feature} of {who} is worse than its tolerance allows (evidence {value}; it pages at 1)",
            finding="{feature} is worse than its tolerance allows",
        ),
        Signal(
            "model_quality.estimated_auc_drop",
            "harm",
            "AUC estimated without labels below its baseline",
            "number",
            "the estimated AUC of {who} is {value} below its baseline {days}",
        ),
        Signal(
            "model_quality.positive_rate_change",
            "drift",
            "change of the share of positive labels since training, in either direction",
            "percentage points",
            "the share of positive labels of {who} differs from training by {value} {days}",
        ),
        Signal(
            "model_quality.absolute_error_increase",
            "harm",
            "increase of the mean absolute error relative to training",
            "percent",
            "the mean absolute error of {who} is {value} above that in training {days}",
        ),
        Signal(
            "label_backlog.overdue_share",
            "blind",
            "share of the predictions that have been without a label for longer than promised",
            "percent",
            "{value} of the predictions of {who} have been without a label for longer than expected",
            finding=None,
        ),
        Signal(
            "feature_breaks.share",
            "break",
            "share of the day's rows in which a feature broke abruptly: newly missing, in unseen categories, constant, in another unit, or "
            "moved in one segment alone, beyond any of the 28 days before",
            "percent",
            finding="{features} broken (worst: {feature}, {value} of the rows)",
        ),
        Signal(
            "feature_skew.different_share",
            "break",
            "share of the predictions whose served value of a feature differs from the value computed offline",
            "percent",
            "the served value of {feature} of {who} differs from the offline value in {value} of the predictions",
            finding="{features} served with other values than computed offline (worst: {feature}, {value} of the predictions)",
        ),
        Signal(
            "prediction_volume.lost_share",
            "break",
            "share of the usual predictions of the weekday that did not arrive",
            "percent",
            finding="{value} of the usual predictions did not arrive",
        ),
        Signal(
            "importance_drift.ndcg_loss",
            "drift",
            "1 - NDCG of the features ranked by importance",
            "number",
            "importance of the features of {who} drifted from {reference}: loss of NDCG {value} {days}",
        ),
        Signal(
            "rare_combinations.count",
            "drift",
            "combinations of two features that are rare in training and frequent now",
            "number",
        ),
        Signal(
            "multivariate_drift.error_shift",
            "drift",
            "change of the PCA reconstruction error of all features relative to training, in either direction",
            "percent",
            "the relations between the features of {who} differ from training: the PCA reconstruction error changed "
            "by {value} {days}",
        ),
        Signal(
            "shadow_comparison.disagreement_share",
            "drift",
            "share of the same predictions on which a candidate and production disagree",
            "percent",
            "{who} and {feature} in production disagree on {value} of the same predictions {days}",
        ),
        Signal(
            "shadow_comparison.auc_loss",
            "harm",
            "AUC of a candidate below that of production on the same labels",
            "number",
            "the AUC of {who} is {value} below that of {feature} in production on the same labels {days}",
        ),
        Signal(
            "service_levels.p95_ms",
            "service",
            "95th percentile of a latency",
            "ms",
            # if total latency has grown, its query names the stage
            "the 95th percentile of {feature} of {who} is {value}",
            finding="the 95th percentile of {feature} is {value}",
        ),
        Signal(
            "slo_status.burn_rate",
            "service",
            "the smaller of an objective's burn rates over one and three days; 1 spends the error budget exactly",
            "number",
        ),
        Signal("slo_status.budget_spent", "service", "share of an objective's error budget that is spent", "percent"),
        Signal(
            "contract_checks.failed",
            "break",
            "checks of severity error that failed",
            "count",
            finding="{checks} failed",
        ),
        Signal(
            "contract_checks.warning_share",
            "break",
            "share of the rows that break a rule of severity warning",
            "percent",
        ),
        Signal("schema_changes.added", "break", "columns of telemetry that were added on the day", "count"),
        Signal("schema_changes.lost", "break", "columns of telemetry that were lost on the day", "count"),
        Signal("schema_changes.retyped", "break", "columns of telemetry whose type changed on the day", "count"),
        Signal("schema_changes.reordered", "break", "columns of telemetry whose position changed on the day", "count"),
    )
}

# Missing values are a defect of the data, whatever they are compared with.
_DRIFT_KINDS: Mapping[str, Kind] = {"feature_drift.missing_rate_change": "break"}
# How verdicts describe some drift signals.
_DRIFT_FINDINGS: Mapping[str, str | None] = {
    "feature_drift.psi": None,
    "feature_drift.missing_rate_change": (
        "missing values of {features} changed against training (most: {feature}, by {value})"
    ),
    "prediction_drift.psi": "scores drifted (PSI {value})",
}


def drift_signal(source: SignalSource, statistic: str, title: str = "", share_of: str = "") -> Signal:
    """The signal for a statistic of drift.

    Parameters
    ----------
    title : name of the statistic in a sentence; if empty, its registered name in words
    share_of : for the change of a share, the words before the feature that say which share: `missing`, `unseen categories of`
    """
    sentence = "scores of {who} drifted from {reference}: {measure} {value} {days}"
    if source == FEATURE_DRIFT:
        sentence = "{feature} of {who} drifted from {reference}: {measure} {value} {days}"
        if share_of:
            sentence = (
                f"the share of {share_of} {{feature}} of {{who}} changed by {{value}} against {{reference}} {{days}}"
            )
    name = f"{source.prefix}{statistic}"
    signal = Signal(
        name,
        _DRIFT_KINDS.get(name, "drift"),
        title or statistic.replace("_", " "),
        "percentage points" if statistic.endswith("_change") else "number",
        sentence,
    )
    return replace(signal, finding=_DRIFT_FINDINGS[name]) if name in _DRIFT_FINDINGS else signal
