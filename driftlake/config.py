"""driftlake.yaml as typed settings: every key, its default, its unit and the reason for it.

Not here: reading inputs or opening the warehouse; a Settings object is plain data.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from datetime import date
from functools import cache
from pathlib import Path
from typing import Annotated, Literal, get_args
from zoneinfo import available_timezones

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PositiveInt,
    PrivateAttr,
    model_validator,
)

from driftlake.errors import ConfigurationError
from driftlake.extensions import load_extensions
from driftlake.runbooks import link_of
from driftlake.strict_yaml import line_of, parse_yaml

CONFIG_NAME = "driftlake.yaml"
CONFIG_VARIABLE = "DRIFTLAKE_CONFIG"

ReferenceKind = Literal["training", "preceding", "four_weeks_before"]

# What an alert rule can watch besides the drift statistics.
_OTHER_SIGNALS = (
    "model_quality.auc_drop",
    "model_quality.estimated_auc_drop",
    "model_quality.positive_rate_change",
    "model_quality.absolute_error_increase",
    "label_backlog.overdue_share",
    "importance_drift.ndcg_loss",
    "rare_combinations.count",
    "multivariate_drift.error_shift",
    "shadow_comparison.disagreement_share",
    "shadow_comparison.auc_loss",
    "service_levels.p95_ms",
    "slo_status.burn_rate",
    "slo_status.budget_spent",
    "contract_checks.failed",
    "contract_checks.warning_share",
    "schema_changes.added",
    "schema_changes.lost",
    "schema_changes.retyped",
    "schema_changes.reordered",
)
# Signals that have a value only on days on which something happened.
_EVENT_SOURCES = ("contract_checks", "schema_changes", "rare_combinations")
_DRIFT_SOURCES = ("feature_drift", "prediction_drift")

# Signals that exist for several windows; the others are about one day whatever the rule's window is.
WINDOWED_SOURCES = (
    "feature_drift",
    "prediction_drift",
    "model_quality",
    "importance_drift",
    "rare_combinations",
    "multivariate_drift",
    "shadow_comparison",
)


_SPARK_MASTER = r"^(local(-cluster)?(\[.+\])?|spark://.+|yarn|k8s://.+)$"


def _known_time_zone(name: str) -> str:
    if name not in available_timezones():
        raise ValueError(f"'{name}' is not a time zone of the IANA database, e.g. America/New_York")
    return name


TimeZone = Annotated[str, AfterValidator(_known_time_zone)]
Share = Annotated[float, Field(ge=0, le=1)]


def _known_statistic(name: str) -> str:
    # numpy and scipy are not needed to print a help text
    from driftlake.statistics import STATISTICS

    if name not in STATISTICS:
        raise ValueError(f"there is no statistic '{name}'; there are {', '.join(STATISTICS)}")
    return name


def _known_signal(signal: str) -> str:
    source, _, statistic = signal.partition(".")
    if source in _DRIFT_SOURCES:
        _known_statistic(statistic)
    elif signal not in _OTHER_SIGNALS:
        patterns = [*(f"{source}.<statistic>" for source in _DRIFT_SOURCES), *_OTHER_SIGNALS]
        raise ValueError(f"there is no signal '{signal}'; there are {', '.join(patterns)}")
    return signal


StatisticName = Annotated[str, AfterValidator(_known_statistic)]
AlertSignal = Annotated[str, AfterValidator(_known_signal)]


def _distinct(windows: tuple[int, ...]) -> tuple[int, ...]:
    if len(set(windows)) < len(windows):
        raise ValueError("a window is listed twice")
    return windows


def _no_repetition(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(names)) < len(names):
        raise ValueError("a column is listed twice")
    return names


def _segment_name(name: str) -> str:
    if "=" in name or not name:
        raise ValueError(f"'{name}' cannot be a segment column: segments are called column=value")
    return name


def _distinct_pairs(pairs: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    unordered = [frozenset(pair) for pair in pairs]
    if any(len(pair) < 2 for pair in unordered):
        raise ValueError("a pair has two different features")
    if len(set(unordered)) < len(pairs):
        raise ValueError("a pair is listed twice")
    return pairs


SegmentName = Annotated[str, AfterValidator(_segment_name)]
Windows = Annotated[tuple[PositiveInt, ...], Field(min_length=1), AfterValidator(_distinct)]


def _template(text: str | None) -> str | None:
    if text is not None:
        import jinja2

        try:
            jinja2.Environment(autoescape=True).parse(text)
        except jinja2.TemplateSyntaxError as error:
            raise ValueError(f"line {error.lineno} of the template: {error.message}") from error
    return text


def _on_this_machine(path: str) -> str:
    if "://" in path:
        raise ValueError(f"pages are written to a folder of this machine, found {path}: copy them on from there")
    return path


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ShapSettings(_Section):
    """Where the SHAP values of predictions are: columns with a common prefix, the fields of one column, or files of sums."""

    prefix: str | None = Field(default=None, description="A column per feature: this prefix and the feature's name.")
    column: str | None = Field(default=None, description="STRUCT column with a field per feature.")
    path: str | None = Field(
        default=None,
        description="Folder or s3:// prefix that holds dt=YYYY-MM-DD/*.parquet with model_id, model_version, feature, "
        "row_count, absolute_sum and signed_sum, and optionally deployment and segment: values that are summed up already.",
    )

    @model_validator(mode="after")
    def _one_of_them(self) -> ShapSettings:
        if sum(place is not None for place in (self.prefix, self.column, self.path)) != 1:
            raise ValueError("give one of prefix, column and path")
        return self

    @property
    def path_prefix(self) -> str | None:
        """What precedes the name of a feature in the path of its SHAP values; None if they are summed up already."""
        return self.prefix if self.column is None else f"{self.column}."


class ClassScoreSettings(_Section):
    """Where the probabilities that multiclass models give each class are: columns with a common prefix, or one column."""

    prefix: str | None = Field(default=None, description="A column per class: this prefix and the class.")
    column: str | None = Field(default=None, description="STRUCT column with a field per class.")

    @model_validator(mode="after")
    def _one_of_them(self) -> ClassScoreSettings:
        if (self.prefix is None) == (self.column is None):
            raise ValueError("give either prefix or column")
        return self

    @property
    def path_prefix(self) -> str:
        """What precedes a class in the path of its scores."""
        return self.prefix if self.prefix is not None else f"{self.column}."


class PersonalDataSettings(_Section):
    """Columns of text whose values look like personal data are left out."""

    blocked: bool = Field(
        default=True,
        description="Leave a feature, segment or other text column out if it holds emails, phone numbers, payment cards, "
        "IP addresses, IBANs or national ids.",
    )
    exempt: Annotated[tuple[str, ...], AfterValidator(_no_repetition)] = Field(
        default=(), description="Columns that may hold what looks like personal data, e.g. [product_code]."
    )


class TelemetrySettings(_Section):
    """Where predictions are and what their columns are called."""

    path: str = Field(description="Folder or s3:// prefix that holds dt=YYYY-MM-DD/*.parquet, a row per prediction.")
    columns: dict[str, str] = Field(
        default_factory=dict,
        description="Canonical name: your column name, e.g. correlation_id: request_id. Same names need no entry.",
    )
    features_column: str | None = Field(
        default=None, description="STRUCT column that holds the features; null if they are columns of their own."
    )
    shap: ShapSettings | None = Field(
        default=None,
        description="SHAP values of the features, e.g. {prefix: shap_} or {column: shap}; null if predictions are not explained.",
    )
    class_scores: ClassScoreSettings | None = Field(
        default=None,
        description="Probability of each class of multiclass models, e.g. {prefix: p_} or {column: probabilities}; "
        "null if there are none, then they have no AUC.",
    )
    high_cardinality: Annotated[tuple[str, ...], AfterValidator(_no_repetition)] = Field(
        default=(),
        description="Columns (text, integer or boolean; struct.field for a field) with very many values, features or not, "
        "e.g. [merchant_id]: distinct values are counted, and the most frequent ones are stored as they are. "
        "Name no column that says who a person is.",
    )
    latencies: Annotated[tuple[str, ...], AfterValidator(_no_repetition)] = Field(
        default=(),
        description="Numeric columns with the milliseconds of the stages of a prediction, measured like latency_ms, e.g. "
        "[feature_lookup_ms, preprocessing_ms, inference_ms].",
    )
    segments: tuple[SegmentName, ...] = Field(
        default=(),
        description="Columns (text, integer or boolean) by whose values everything is counted as well, e.g. [country].",
    )
    segment_limit: PositiveInt = Field(
        default=100,
        description="Most frequent values of a segment column on a day that are segments of their own; "
        "the others are counted together as (other).",
    )
    personal_data: PersonalDataSettings = PersonalDataSettings()


class LabelSettings(_Section):
    """Where labels are and how long they are waited for."""

    path: str = Field(description="Folder or s3:// prefix that holds dt=YYYY-MM-DD/*.parquet by arrival day.")
    columns: dict[str, str] = Field(default_factory=dict, description="Canonical name: your column name.")
    horizon_days: PositiveInt = Field(
        default=60,
        description="Predictions older than this are no longer joined to labels, nor counted in the backlog: "
        "it bounds what a night has to read.",
    )
    corrections: Literal["first", "latest"] = Field(
        default="first",
        description="Which label of a prediction counts: the first that arrived, or the latest, from the day it arrived.",
    )


class LineageSettings(_Section):
    """Where the lineage files of the model versions are."""

    path: str = Field(description="Folder or s3:// prefix of lineage files, one YAML file per model version.")


class WarehouseSettings(_Section):
    """The DuckLake that holds every result."""

    catalog: str = Field(
        default="sqlite:warehouse/catalog.sqlite",
        description="The catalog of the DuckLake: sqlite:FILE for one machine, or postgres:host=db.example.org dbname=driftlake "
        "user=driftlake, a connection string of PostgreSQL, for several (needs driftlake[postgres]; the password from "
        "PGPASSWORD or ~/.pgpass).",
    )
    data: str = Field(default="warehouse/data", description="Folder or s3:// prefix of the DuckLake's Parquet files.")
    snapshot_retention_days: PositiveInt | None = Field(
        default=400,
        description="Days for which `at (version => n)` and what `driftlake explain` prints find rows as they were written; `driftlake "
        "maintain` expires older snapshots. A model is reviewed once a year, and a year of snapshots weighs little; null keeps "
        "all. The newest rows are kept in any case.",
    )
    file_grace_days: PositiveInt = Field(
        default=2,
        description="Days after which `driftlake maintain` deletes a file that no snapshot needs: longer than any run or query "
        "takes that may still be reading or writing it.",
    )

    @model_validator(mode="after")
    def _catalog_is_supported(self) -> WarehouseSettings:
        kind = self.catalog.partition(":")[0]
        if kind not in {"sqlite", "postgres"}:
            raise ValueError(
                f"catalog must start with 'sqlite:' or 'postgres:', e.g. sqlite:warehouse/catalog.sqlite, found {kind}"
            )
        if kind == "postgres" and ("password" in self.catalog or "://" in self.catalog):
            raise ValueError(
                "catalog: give a connection string of keys without a password, e.g. postgres:host=db dbname=driftlake;"
                " the password comes from PGPASSWORD or ~/.pgpass"
            )
        return self


class ReportSettings(_Section):
    """Where the pages go."""

    path: Annotated[str, AfterValidator(_on_this_machine)] = Field(
        default="reports", description="Folder of the HTML pages, on this machine."
    )
    url: str | None = Field(
        default=None,
        pattern=r"^https?://",
        description="Web address under which the folder is served, e.g. https://driftlake.example.org: notices link to its pages.",
    )
    worst_features: PositiveInt = Field(
        default=6, description="Features whose distributions a page draws: more than a person looks at is noise."
    )
    smallest_cell: PositiveInt = Field(
        default=10,
        description="Rows that a category or segment needs to be named on a page: with fewer it is folded into other, for few "
        "rows may tell who they are about. 1 names all.",
    )


class ScheduleSettings(_Section):
    """When the nightly run starts. The time zone is also that of the partition days."""

    hour: int = Field(default=2, ge=0, le=23, description="Hour of the day at which yesterday is processed.")
    timezone: TimeZone = Field(default="UTC", description="IANA name, e.g. America/New_York.")
    late_days: int = Field(
        default=30,
        ge=0,
        description="Newest days whose files are looked at for late and rewritten ones, which are run again; 0 for none.",
    )


class Thresholds(_Section):
    """Values of one statistic from which a comparison is called warn and drift."""

    warn: float = Field(gt=0, description="Absolute value from which the outcome is warn.")
    drift: float = Field(gt=0, description="Absolute value from which the outcome is drift.")

    @model_validator(mode="after")
    def _ordered(self) -> Thresholds:
        if self.drift < self.warn:
            raise ValueError(f"drift ({self.drift}) must not be smaller than warn ({self.warn})")
        return self


class DriftStatistics(_Section):
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
        description="Of numbers, and of scores.",
    )
    categorical: tuple[StatisticName, ...] = Field(
        default=("psi", "kl_divergence", "js_distance", "missing_rate_change", "unseen_change"),
        description="Of categories.",
    )

    @model_validator(mode="after")
    def _applicable(self) -> DriftStatistics:
        if not self.model_fields_set:
            return self
        from driftlake.statistics import STATISTICS

        for kind, names in (("numeric", self.numeric), ("categorical", self.categorical)):
            if wrong := [name for name in names if kind not in STATISTICS[name].kinds]:
                raise ValueError(f"{', '.join(wrong)}: not defined for {kind} features")
        return self

    def of(self, kind: str) -> tuple[str, ...]:
        """Statistics of a kind of feature."""
        return self.numeric if kind == "numeric" else self.categorical


def _free_name(name: str) -> str:
    if name in get_args(ReferenceKind):
        raise ValueError(f"'{name}' is the name of a reference of its own")
    return name


class _NamedReference(_Section):
    name: Annotated[str, AfterValidator(_free_name)] = Field(
        pattern=r"^[a-z0-9][a-z0-9_-]*$", description="What the reference is called in the tables."
    )


class Period(_NamedReference):
    """Days known to be good, to compare with."""

    first_day: date = Field(description="First day of the period.")
    last_day: date = Field(description="Last day of the period.")

    @model_validator(mode="after")
    def _ordered(self) -> Period:
        if self.last_day < self.first_day:
            raise ValueError(f"last_day ({self.last_day}) must not be before first_day ({self.first_day})")
        return self


class OtherVersion(_NamedReference):
    """A version of the same model in production, to compare the others with on the same days."""

    model_version: str = Field(description="The version, as in its lineage file.")


ReferenceSetting = ReferenceKind | Period | OtherVersion


class ImportanceSettings(_Section):
    """When the importance of features is called drifted; it is measured where telemetry has SHAP values."""

    minimum_ndcg: Share = Field(
        default=0.9, description="NDCG of the ranking below which it is drift; that of Amazon SageMaker Clarify."
    )
    dominant_share: Share = Field(
        default=0.3, description="Share of all importance from which a feature can be called dominant."
    )
    dominant_growth: float = Field(
        default=2.0, ge=1, description="Times its share in the reference that a dominant feature must exceed."
    )


class MultivariateSettings(_Section):
    """How large the samples are by which all features are compared at once."""

    sample_rows: PositiveInt = Field(
        default=2000,
        description="Predictions of a day, version and deployment that are kept as bins, and of a window that are compared: "
        "more find smaller shifts. Days keep the sample that they were counted with until they are run again.",
    )
    reference_rows: PositiveInt = Field(
        default=10_000,
        description="Training rows that are kept as bins; of versions whose sample was taken before, so many as then.",
    )


class DriftSettings(_Section):
    """What counts as drift."""

    windows_days: Windows = Field(default=(1, 7, 28), description="Windows ending with the day, in days.")
    extensions: tuple[str, ...] = Field(
        default=(), description="Python files that register statistics of your own; see docs/statistics.md."
    )
    statistics: DriftStatistics = DriftStatistics()
    thresholds: dict[StatisticName, Thresholds] = Field(
        default_factory=dict, description="Per statistic, e.g. psi: {warn: 0.2, drift: 0.4}; else those it comes with."
    )
    references: tuple[ReferenceSetting, ...] = Field(
        default=("training",),
        min_length=1,
        description="What windows are compared with: training, preceding (the window before), four_weeks_before (the "
        "same weekdays), periods of your own, or another version.",
    )
    minimum_rows: PositiveInt = Field(
        default=200, description="Rows below which a comparison is insufficient_data: its noise floor nears 0.1."
    )
    minimum_days_share: Share = Field(
        default=0.7,
        description="Share of a window's days that must have predictions: 5 of 7, 20 of 28. A window that lacks "
        "weekdays differs from training without any drift, so with fewer it is insufficient_data.",
    )
    false_alarm_rate: Share = Field(
        default=0.01, description="Largest q-value (Benjamini-Hochberg) at which a shift is believed."
    )
    importance: ImportanceSettings = ImportanceSettings()
    other_features_bins: int | None = Field(
        default=None,
        ge=10,
        description="Most bins of features that are not critical (models.<id>.critical), for versions registered from now "
        "on; null is full resolution. Fewer bins are fewer rows, and blunter KS, Wasserstein and percentiles.",
    )
    rare_share: Share = Field(
        default=0.001, description="Share of the training rows below which a combination of two features is rare."
    )
    multivariate: MultivariateSettings | None = Field(
        default=None,
        description="Compare all features of a window with training at once, on samples, e.g. {sample_rows: 2000}; null is off.",
    )
    smoothing: float = Field(default=0.5, gt=0, description="Rows added to every bin on both sides before comparing.")

    @model_validator(mode="after")
    def _distinct_references(self) -> DriftSettings:
        names = [one if isinstance(one, str) else one.name for one in self.references]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"references: name used twice: {', '.join(twice)}")
        return self

    def thresholds_of(self, statistic: str) -> tuple[float | None, float | None]:
        """Values from which a statistic is called warn and drift; None if it is judged by its noise alone."""
        from driftlake.statistics import STATISTICS

        if given := self.thresholds.get(statistic):
            return given.warn, given.drift
        return STATISTICS[statistic].warn, STATISTICS[statistic].drift

    @property
    def headline_window_days(self) -> int:
        """The window that pages and summaries speak of: the one nearest to a week, the shorter of two as near."""
        return min(self.windows_days, key=lambda days: (abs(days - 7), days))


class QualitySettings(_Section):
    """What model quality is measured over."""

    windows_days: Windows = Field(default=(1, 7, 28), description="Prediction days in the window, ending with the day.")
    minimum_labels_per_class: PositiveInt = Field(
        default=10, description="Positives and negatives below which an AUC is insufficient_data."
    )
    calibration_days: PositiveInt = Field(
        default=90,
        description="Estimates made before labels come take the probabilities of what scores mean from labels that "
        "became known in so many days up to the day.",
    )
    minimum_calibration_labels: PositiveInt = Field(
        default=1000, description="Labels of these days below which the training data say what scores mean."
    )

    @property
    def headline_window_days(self) -> int:
        """The window that pages and summaries speak of: the longest, because labels are few."""
        return max(self.windows_days)


class Downtime(_Section):
    """Days on which something is planned, so that nobody is told of what happens to the model."""

    first_day: date = Field(description="First day.")
    last_day: date = Field(description="Last day.")
    reason: str = Field(description="What is planned.")

    @model_validator(mode="after")
    def _ordered(self) -> Downtime:
        if self.last_day < self.first_day:
            raise ValueError(f"last_day ({self.last_day}) must not be before first_day ({self.first_day})")
        return self


class ModelSettings(_Section):
    """What a model's lineage does not say, and corrections to what is learned from its training data."""

    categorical: tuple[str, ...] = Field(default=(), description="Features to count as categories whatever their type.")
    numeric: tuple[str, ...] = Field(default=(), description="Integer features to count as numbers.")
    decision_cut: float | None = Field(
        default=None, description="Score from which a prediction is taken as positive; null is 0.5 for a probability."
    )
    critical: tuple[str, ...] = Field(
        default=(), description="Features kept at full resolution whatever drift.other_features_bins says."
    )
    pairs: Annotated[tuple[tuple[str, str], ...], AfterValidator(_distinct_pairs)] = Field(
        default=(),
        description="Pairs of features to count together, e.g. [[channel, country]]: combinations that training hardly had "
        "are told of when production has them.",
    )
    sampling_rate: float = Field(
        default=1.0,
        gt=0,
        le=1,
        description="Share of the predictions to count, chosen by a hash of the correlation id: the same rows in every run. "
        "Segments are sampled alike.",
    )

    downtime: tuple[Downtime, ...] = Field(
        default=(),
        description="Planned downtime: incidents of these days are marked and not told of. They stay in the tables.",
    )

    @model_validator(mode="after")
    def _disjoint(self) -> ModelSettings:
        if both := sorted(set(self.categorical) & set(self.numeric)):
            raise ValueError(f"{', '.join(both)}: listed as categorical and as numeric")
        return self


class AlertRule(_Section):
    """When a signal becomes an alert."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", description="Name of the rule: letters, digits, - and _.")
    signal: AlertSignal = Field(description="What is watched; larger is worse.")
    window_days: PositiveInt = Field(default=7, description="Window of the signal; signals of one day ignore it.")
    warn: float = Field(description="Value from which the rule fires.")
    critical: float = Field(description="Value from which the alert is critical.")
    minimum_sample: int = Field(default=0, ge=0, description="Rows below which the rule never fires.")
    consecutive_days: PositiveInt = Field(default=1, description="Days in a row above warn before the rule fires.")
    resolve: float | None = Field(
        default=None, description="Value below which an open alert is resolved; null is 0.8 x warn."
    )
    resolve_after_days: PositiveInt | None = Field(
        default=None,
        description="Days without a value after which an open alert is resolved; null is 3, and 1 for signals that have "
        "values only when something happened: contract_checks, schema_changes, rare_combinations.",
    )
    models: tuple[str, ...] = Field(default=(), description="Models the rule is about; none named is all.")
    features: tuple[str, ...] = Field(
        default=(), description="Features the rule is about, for other signals latency columns; none named is all."
    )
    except_features: tuple[str, ...] = Field(
        default=(), description="Features the rule is not about, e.g. because another rule is."
    )
    deployments: tuple[str, ...] = Field(
        default=("production", "shadow", "canary"), description="Deployments the rule is about."
    )
    references: tuple[str, ...] = Field(
        default=("training",), description="References the rule is about, by name; signals without one ignore it."
    )
    opening_reference: str | None = Field(
        default=None,
        description="Reference, e.g. preceding, against which the value must have reached warn as well before the rule opens: a "
        "slow season opens none, a jump does. A version that is new is compared with the one before; the first one opens none.",
    )
    each_segment: bool = Field(default=False, description="Whether the rule looks at every segment beside the whole.")
    owner: str | None = Field(default=None, description="Who is responsible.")
    runbook: str | None = Field(default=None, description="Where to read on: a link or a path.")

    @model_validator(mode="after")
    def _ordered(self) -> AlertRule:
        if self.critical < self.warn:
            raise ValueError(f"critical ({self.critical}) must not be smaller than warn ({self.warn})")
        if self.resolve is not None and self.resolve > self.warn:
            raise ValueError(f"resolve ({self.resolve}) must not be larger than warn ({self.warn})")
        return self

    @property
    def source(self) -> str:
        """Table that the signal is measured in."""
        return self.signal.partition(".")[0]

    @property
    def resolve_below(self) -> float:
        """Value below which an open alert is resolved: lower than the one that opens it, so that it does not flap."""
        return min(self.warn, 0.8 * self.warn if self.resolve is None else self.resolve)

    @property
    def patience_days(self) -> int:
        """Days without a value after which an open alert is resolved."""
        return self.resolve_after_days or (1 if self.source in _EVENT_SOURCES else 3)


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
            name="missing-values",
            signal="feature_drift.missing_rate_change",
            window_days=1,
            warn=0.05,
            critical=0.2,
            minimum_sample=200,
            runbook=link_of("missing-values"),
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
            name="auc-drop",
            signal="model_quality.auc_drop",
            window_days=28,
            warn=0.03,
            critical=0.08,
            minimum_sample=500,
            consecutive_days=3,
            runbook=link_of("auc-drop"),
        ),
        AlertRule(
            name="labels-overdue",
            signal="label_backlog.overdue_share",
            warn=0.05,
            critical=0.15,
            minimum_sample=500,
            consecutive_days=2,
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
        # objectives are the user's; without any there is no such signal
        AlertRule(
            name="error-budget",
            signal="slo_status.budget_spent",
            warn=0.75,
            critical=1,
            runbook=link_of("error-budget"),
        ),
    )


class IncidentSettings(_Section):
    """Which alerts are one incident."""

    join_days: int = Field(
        default=3,
        ge=0,
        description="Days after the beginning of an incident up to which what begins belongs to it; and so many days after "
        "its alerts were resolved the same alerts open it again.",
    )


# What an objective can be about, each with the keys that say more.
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


class SloSettings(_Section):
    """A service level objective: a share of events that are to be good in a period."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", description="Name of the objective: letters, digits, - and _.")
    model: str | None = Field(default=None, description="Model it is about; null is each model for itself.")
    deployments: tuple[str, ...] = Field(default=("production",), description="Deployments whose events count.")
    sli: Annotated[str, AfterValidator(_known_sli)] = Field(
        description="latency, availability, quality, label_timeliness, drift_share or completeness; see docs/operations.md."
    )
    objective: float = Field(gt=0, lt=1, description="Share of the events that are to be good, e.g. 0.99.")
    period_days: PositiveInt = Field(
        default=28, description="Days, ending with each day, in which the rest may be bad."
    )
    under_ms: float | None = Field(default=None, gt=0, description="latency: milliseconds below which it is good.")
    metric: str | None = Field(
        default=None, description="latency: latency_ms, which null is, or one of telemetry.latencies."
    )
    tolerance: float | None = Field(
        default=None, ge=0, description="quality: how much worse than its baseline a version may be."
    )
    statistic: str | None = Field(
        default=None,
        description="quality: auc (null), estimated_auc, accuracy, estimated_accuracy or mean_absolute_error. "
        "drift_share: a drift statistic, psi if null.",
    )
    window_days: PositiveInt | None = Field(
        default=None, description="quality, drift_share: window of the statistic; null is the one that pages speak of."
    )
    within_days: PositiveInt | None = Field(
        default=None, description="label_timeliness: days after the prediction by whose end its label is to be there."
    )
    features: tuple[str, ...] = Field(default=(), description="drift_share: features that count; none named is all.")

    @model_validator(mode="after")
    def _consistent(self) -> SloSettings:
        allowed = _SLI_KEYS[self.sli]
        if missing := [key for key in _NEEDED_SLI_KEYS if key in allowed and getattr(self, key) is None]:
            raise ValueError(f"{self.sli} needs {', '.join(missing)}")
        given = {key for keys in _SLI_KEYS.values() for key in keys if getattr(self, key) not in (None, ())}
        if foreign := sorted(given - set(allowed)):
            raise ValueError(f"{', '.join(foreign)}: not a key of {self.sli}, which has {', '.join(allowed) or 'none'}")
        if self.sli == "quality" and self.statistic not in (None, *_QUALITY_STATISTICS):
            raise ValueError(f"quality has no statistic '{self.statistic}'; there are {', '.join(_QUALITY_STATISTICS)}")
        if self.sli == "drift_share" and self.statistic is not None:
            _known_statistic(self.statistic)
        return self


class ContractSettings(_Section):
    """What is promised about the inputs, and what becomes of rows that break it."""

    enabled: bool = Field(default=True, description="Check telemetry and labels before they are counted.")
    data_docs: bool = Field(
        default=True,
        description="Write Data Docs of Great Expectations for the last day of a run, into data_docs of the reports.",
    )
    suites: str = Field(
        default="expectations",
        description="Local folder of own suites of Great Expectations: telemetry*.json, labels*.json, training*.json.",
    )
    severities: dict[str, Literal["error", "warning", "off"]] = Field(
        default_factory=dict,
        description="By the name of a rule of expectations/, e.g. score_is_a_probability: error. Rows that break a rule of "
        "severity error go to quarantine; rows that break a warning are counted and told of.",
    )
    largest_quarantined_share: Share = Field(
        default=0.5,
        description="Share of a day in quarantine above which the day is refused: the rest says too little.",
    )
    missing_rate_increase: Share = Field(
        default=0.05, description="More than training that a feature may be missing, as a share of the rows."
    )
    row_count_factor: float = Field(
        default=2.5, gt=1, description="Times more or fewer rows than the median of the same weekdays of four weeks."
    )
    quiet_hours: float = Field(
        default=12.0, gt=0, le=24, description="Hours before the end of a day that may pass without a prediction."
    )


class Channel(_Section):
    """Who is told of incidents, and how."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", description="Name of the channel: letters, digits, - and _.")
    kind: Literal["apprise", "webhook", "alertmanager"] = Field(
        description="apprise (mail, Slack, Teams, PagerDuty and a hundred others; needs driftlake[delivery]), webhook (JSON by "
        "POST) or alertmanager (its API v2)."
    )
    address_variable: str = Field(
        description="Environment variable that holds the address: an apprise URL, or an http(s) URL. It is a secret, so it is no key."
    )
    severities: tuple[Literal["warn", "critical"], ...] = Field(
        default=("warn", "critical"), min_length=1, description="Severities of incidents the channel hears of."
    )
    title: Annotated[str | None, AfterValidator(_template)] = Field(
        default=None,
        description="Jinja2 template of the first line, over the columns of `incidents`, `change` and `links`, e.g. "
        "'{{ change }}: {{ title }}'; null is the severity, the change and the title.",
    )
    body: Annotated[str | None, AfterValidator(_template)] = Field(
        default=None, description="Jinja2 template of the text; null is since when, the evidence, owner and links."
    )


class DeliverySettings(_Section):
    """Who hears of incidents beside those who look at pages and tables."""

    channels: tuple[Channel, ...] = Field(default=(), description="Channels; each is told of a change once.")
    prometheus_file: str | None = Field(
        default=None,
        description="File for the textfile collector of Prometheus' node exporter, e.g. metrics/driftlake.prom; null writes none.",
    )

    @model_validator(mode="after")
    def _distinct_channels(self) -> DeliverySettings:
        names = [channel.name for channel in self.channels]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"channels: name used twice: {', '.join(twice)}")
        return self


class ComputeSettings(_Section):
    """How much of the machine a run may use."""

    threads: PositiveInt = Field(
        default_factory=lambda: os.cpu_count() or 1, description="Threads; all cores if unset."
    )
    memory_limit: str = Field(
        default="2GB", pattern=r"^\d+(\.\d+)?\s*(MB|GB|TB)$", description="DuckDB's limit; it spills to disk beyond it."
    )
    rows_per_chunk: PositiveInt = Field(
        default=5_000_000, description="Rows of whole days that one scan takes: bounds memory, not results."
    )
    partitions_per_run: PositiveInt = Field(
        default=400, description="Days of one Dagster run in a backfill: a run costs seconds, a day milliseconds."
    )


class SparkSettings(_Section):
    """The cluster that `engine: spark` counts on."""

    master: Annotated[str, Field(pattern=_SPARK_MASTER)] = Field(
        default="local[*]",
        description="Spark master: local[2], spark://host:7077, yarn or k8s://https://host:443; it counts where the files can be read.",
    )
    conf: dict[str, str] = Field(
        default_factory=dict, description="Settings of Spark itself, e.g. spark.executor.memory: 4g."
    )
    task_memory_limit: str = Field(
        default="512MB",
        pattern=r"^\d+(\.\d+)?\s*(MB|GB|TB)$",
        description="DuckDB's limit in each task of a worker; it spills to disk beyond it.",
    )
    rows_per_task: PositiveInt = Field(
        default=1_000_000,
        description="Rows that are joined or put in order in one task: bounds memory, not results.",
    )


class PseudonymKey(_Section):
    """A secret key and the days on which it is valid."""

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+$")] = Field(
        description="Name of the key, stored beside every pseudonym: letters, digits, _, . and -."
    )
    env: str | None = Field(default=None, description="Environment variable that holds the key.")
    file: str | None = Field(
        default=None, description="File that holds the key, which nobody else may read (mode 0600)."
    )
    valid_from: date = Field(description="First partition day.")
    valid_until: date | None = Field(
        default=None, description="Last partition day; overlap with the next key so that users can be linked across."
    )

    @model_validator(mode="after")
    def _consistent(self) -> PseudonymKey:
        if (self.env is None) == (self.file is None):
            raise ValueError(f"key {self.id}: give either env or file")
        if self.valid_until is not None and self.valid_until < self.valid_from:
            raise ValueError(f"key {self.id}: valid_until must not be before valid_from")
        return self


class PseudonymSettings(_Section):
    """How `driftlake pseudonymize` replaces identifiers of users."""

    column: str = Field(description="Column of the raw identifier, which user_key and user_key_id take the place of.")
    keys: Annotated[tuple[PseudonymKey, ...], Field(min_length=1)] = Field(
        description="Keys, at most two of them valid on any day; the secrets themselves never stand here."
    )

    @model_validator(mode="after")
    def _consistent(self) -> PseudonymSettings:
        ids = [key.id for key in self.keys]
        if twice := sorted({name for name in ids if ids.count(name) > 1}):
            raise ValueError(f"key id used twice: {', '.join(twice)}")
        starts = [key.valid_from for key in self.keys]
        if len(set(starts)) < len(starts):
            raise ValueError("two keys begin on the same day, so neither is the newer one")
        if any(len(self.valid_on(day)) > 2 for day in starts):
            raise ValueError("more than two keys are valid on the same day")
        return self

    def valid_on(self, day: date) -> list[PseudonymKey]:
        """Keys valid on a day, the newest first."""
        valid = [k for k in self.keys if k.valid_from <= day and (k.valid_until is None or day <= k.valid_until)]
        return sorted(valid, key=lambda k: k.valid_from, reverse=True)


class Settings(_Section):
    """All of driftlake.yaml."""

    telemetry: TelemetrySettings
    labels: LabelSettings | None = Field(default=None, description="Leave out if no labels ever come.")
    lineage: LineageSettings
    warehouse: WarehouseSettings = WarehouseSettings()
    reports: ReportSettings = ReportSettings()
    start: date = Field(description="First partition day.")
    end: date | None = Field(default=None, description="Last partition day of a history that has ended.")
    schedule: ScheduleSettings = ScheduleSettings()
    models: dict[str, ModelSettings] = Field(default_factory=dict, description="Corrections per model_id.")
    drift: DriftSettings = DriftSettings()
    quality: QualitySettings = QualitySettings()
    contracts: ContractSettings = ContractSettings()
    alerts: tuple[AlertRule, ...] | None = Field(
        default=None, description="Rules; giving any replaces the default ones below."
    )
    incidents: IncidentSettings = IncidentSettings()
    slos: tuple[SloSettings, ...] = Field(
        default=(), description="Service level objectives, e.g. [{name: up, sli: availability, objective: 0.999}]."
    )
    pseudonyms: PseudonymSettings | None = Field(
        default=None, description="Needed by `driftlake pseudonymize`, and checked by the contract of telemetry."
    )
    delivery: DeliverySettings = DeliverySettings()
    compute: ComputeSettings = ComputeSettings()
    engine: Literal["duckdb", "spark"] = Field(
        default="duckdb", description="Who counts telemetry: this machine, or a Spark cluster; the rows are the same."
    )
    spark: SparkSettings = SparkSettings()

    # The folder that relative paths are resolved against: that of the file.
    _root: Path = PrivateAttr(default_factory=Path.cwd)

    @model_validator(mode="after")
    def _consistent(self) -> Settings:
        if self.end is not None and self.end < self.start:
            raise ValueError(f"end ({self.end}) must not be before start ({self.start})")
        names = [rule.name for rule in self.alerts or ()]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"alerts: rule name used twice: {', '.join(twice)}")
        objectives = [slo.name for slo in self.slos]
        if twice := sorted({name for name in objectives if objectives.count(name) > 1}):
            raise ValueError(f"slos: name used twice: {', '.join(twice)}")
        return self

    @model_validator(mode="after")
    def _objectives_are_measured(self) -> Settings:
        measured = {"quality": self.quality.windows_days, "drift_share": self.drift.windows_days}
        for slo in self.slos:
            windows = measured.get(slo.sli, ())
            if slo.window_days is not None and slo.window_days not in windows:
                raise ValueError(
                    f"slos: {slo.name}: {slo.sli} is measured over {', '.join(map(str, windows))} days, found"
                    f" {slo.window_days}"
                )
            if slo.metric not in {None, "latency_ms", *self.telemetry.latencies}:
                raise ValueError(f"slos: {slo.name}: metric {slo.metric} is not in telemetry.latencies")
            if slo.sli == "drift_share" and (objection := self._uncomputed(slo.statistic or "psi")):
                raise ValueError(f"slos: {slo.name}: {objection}")
            if slo.sli == "label_timeliness" and self.labels is None:
                raise ValueError(f"slos: {slo.name}: there are no labels")
        return self

    @property
    def pseudonym_keys(self) -> tuple[PseudonymKey, ...]:
        """Keys that pseudonyms may come from."""
        return self.pseudonyms.keys if self.pseudonyms else ()

    def pairs_of(self, model_id: str) -> tuple[tuple[str, str], ...]:
        """Pairs of features of a model that are counted together."""
        model = self.models.get(model_id)
        return model.pairs if model else ()

    def downtime_of(self, model_id: str, day: date) -> str | None:
        """What is planned for a model on a day."""
        model = self.models.get(model_id)
        planned = model.downtime if model else ()
        return next((one.reason for one in planned if one.first_day <= day <= one.last_day), None)

    def windows_of(self, rule: AlertRule) -> tuple[int, ...] | None:
        """Windows over which the signal of a rule is measured; None for signals of one day."""
        source = rule.signal.partition(".")[0]
        windows = {
            "feature_drift": self.drift.windows_days,
            "prediction_drift": self.drift.windows_days,
            "model_quality": self.quality.windows_days,
            "importance_drift": self.drift.windows_days,
            "rare_combinations": self.drift.windows_days,
            "multivariate_drift": self.drift.windows_days,
            "shadow_comparison": self.quality.windows_days,
        }
        return windows.get(source) if source in WINDOWED_SOURCES else None

    def objections(self, rule: AlertRule) -> dict[str, str]:
        """By key of a rule, why its signal never has a value; nothing if it may have some."""
        found = {}
        windows = self.windows_of(rule)
        if windows and rule.window_days not in windows:
            measured = ", ".join(map(str, windows))
            found["window_days"] = f"{rule.signal} is measured over {measured} days, found {rule.window_days}"
        if rule.source in _DRIFT_SOURCES and (objection := self._uncomputed(rule.signal.partition(".")[2])):
            found["signal"] = objection
        references = [one if isinstance(one, str) else one.name for one in self.drift.references]
        if rule.source in _DRIFT_SOURCES and (unknown := [one for one in rule.references if one not in references]):
            known = ", ".join(references)
            found["references"] = f"there is no reference {', '.join(unknown)} in drift.references, which has {known}"
        if rule.opening_reference not in {None, *references}:
            found["opening_reference"] = f"there is no reference {rule.opening_reference} in drift.references"
        return found

    def _uncomputed(self, statistic: str) -> str | None:
        """Why a drift statistic has no values; None if it has."""
        computed = dict.fromkeys((*self.drift.statistics.numeric, *self.drift.statistics.categorical))
        if statistic in computed:
            return None
        return f"drift.statistics computes {', '.join(computed)}, not {statistic}"

    @property
    def alert_rules(self) -> tuple[AlertRule, ...]:
        """The rules in force: those given, or the default ones over the windows that are nearest to theirs."""
        if self.alerts is not None:
            return self.alerts
        return tuple(
            rule.model_copy(update={"window_days": min(windows, key=lambda days: abs(days - rule.window_days))})
            if (windows := self.windows_of(rule))
            else rule
            for rule in default_alerts()
        )

    def resolve(self, location: str) -> str:
        """Absolute form of a configured path; s3:// stays as it is, without a slash at its end."""
        return location.rstrip("/") if "://" in location else str((self._root / location).resolve())

    @property
    def input_locations(self) -> dict[str, str]:
        """Where each input is, by the setting that says so."""
        places = {
            "telemetry.path": self.telemetry.path,
            "telemetry.shap.path": self.telemetry.shap.path if self.telemetry.shap else None,
            "labels.path": self.labels.path if self.labels else None,
            "lineage.path": self.lineage.path,
        }
        return {setting: self.resolve(path) for setting, path in places.items() if path}

    @property
    def dagster_home(self) -> Path:
        """Dagster's instance folder: DAGSTER_HOME, or .dagster beside driftlake.yaml."""
        return Path(os.environ.get("DAGSTER_HOME") or self._root / ".dagster")

    @property
    def extension_texts(self) -> list[str]:
        """What the files of drift.extensions say."""
        return [Path(self.resolve(path)).read_text() for path in self.drift.extensions]

    @property
    def suite_folder(self) -> Path:
        """Folder of the own suites; it need not be there if it is the default one."""
        return Path(self.resolve(self.contracts.suites))

    @property
    def suite_texts(self) -> dict[str, str]:
        """What the JSON files in the folder of own suites say, by name.

        Raises ConfigurationError if the folder is configured and not there, or a file cannot be read.
        """
        folder = self.suite_folder
        if "suites" in self.contracts.model_fields_set and not folder.is_dir():
            raise ConfigurationError(
                f"contracts.suites: there is no folder {folder}", hint="create it or correct the path"
            )
        texts = {}
        for path in sorted(folder.glob("*.json")):
            try:
                texts[path.name] = path.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise ConfigurationError(f"{path} cannot be read: {error}", hint="write it as UTF-8 text") from error
        return texts

    @property
    def config_hash(self) -> str:
        """SHA-256 of what can change a number; which machines are used, and how much of them, cannot."""
        unrelated = dict.fromkeys(("compute", "delivery", "engine", "reports", "schedule", "spark"), True)
        kept = {"warehouse": {"snapshot_retention_days", "file_grace_days"}}
        content = self.model_dump(mode="json", exclude={**unrelated, **kept})
        content["timezone"] = self.schedule.timezone
        content["extensions"] = self.extension_texts
        content["suites"] = self.suite_texts
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def load_settings(path: Path | None = None, *, require_inputs: bool = False) -> Settings:
    """Read driftlake.yaml: `path`, or the file DRIFTLAKE_CONFIG names, or the one in the current folder.

    Raises ConfigurationError that lists every problem with its key and line; with `require_inputs` a folder of
    inputs that is not there is one, too. Who only reads results needs no inputs.
    """
    path = (path or Path(os.environ.get(CONFIG_VARIABLE) or CONFIG_NAME)).resolve()
    if not path.is_file():
        raise ConfigurationError(
            f"there is no configuration file {path}",
            hint=f"create one with `driftlake init`, or name one with --config or {CONFIG_VARIABLE}",
        )
    text = path.read_text()
    # first, because what they register may be named in the rest
    load_extensions(_extensions_in(text), path.parent)
    settings = parse_yaml(Settings, path, text)
    settings._root = path.parent  # noqa: SLF001  # private, so that no key of the file can set it
    nodes = yaml.compose(text, Loader=yaml.SafeLoader)
    _require_measured_signals(settings, path, nodes)
    if require_inputs:
        _require_folders(settings, path, nodes)
    return settings


def _extensions_in(text: str) -> list[str]:
    """The value of drift.extensions if it is what it should be; anything wrong is reported when the file is parsed."""
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError:
        return []
    drift = content.get("drift") if isinstance(content, dict) else None
    listed = drift.get("extensions") if isinstance(drift, dict) else None
    return [path for path in listed if isinstance(path, str)] if isinstance(listed, list) else []


def _require_measured_signals(settings: Settings, path: Path, nodes: yaml.Node | None) -> None:
    wrong = [
        f"{path}:{line_of(nodes, ['alerts', number, key])}: alerts.{number}.{key}: {objection}"
        for number, rule in enumerate(settings.alerts or ())
        for key, objection in settings.objections(rule).items()
    ]
    if wrong:
        raise ConfigurationError("\n".join(wrong), hint="choose one of them, or have it measured as well")


def _require_folders(settings: Settings, path: Path, nodes: yaml.Node | None) -> None:
    sections = {"telemetry": settings.telemetry, "labels": settings.labels, "lineage": settings.lineage}
    missing = [
        f"{path}:{line_of(nodes, [name, 'path'])}: {name}.path: there is no folder {settings.resolve(section.path)}"
        for name, section in sections.items()
        if section and "://" not in section.path and not Path(settings.resolve(section.path)).is_dir()
    ]
    if missing:
        raise ConfigurationError("\n".join(missing), hint="create the folder or correct the path")
