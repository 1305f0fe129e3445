"""The inputs of each stage, combined into one fingerprint per day. While it stays the same, the day is not computed again.

Not here: the work (`driftlake.nightly.profiles`, `driftlake.nightly.labels`, `driftlake.nightly.derived`) and what
earlier runs recorded (`driftlake.lake.runs`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cache
from importlib.metadata import version
from typing import Any, Protocol

from pydantic_core import to_json

from driftlake import __version__
from driftlake.alerts import slos
from driftlake.config import EXPLANATIONS, OFFLINE_VALUES, ModelSettings, Settings
from driftlake.drift.windows import reference_reach_days
from driftlake.lake import runs
from driftlake.lake.project_files import sources
from driftlake.lake.verification import disagreeing_days
from driftlake.lake.warehouse import PartitionRun, RunContext, Warehouse
from driftlake.nightly.label_source import COHORT_TABLES, history_days
from driftlake.profiles.label_join import lookback_days
from driftlake.profiles.paired_predictions import TABLES as PAIRED_TABLES
from driftlake.profiles.service_calls import TABLES as SERVICE_TABLES
from driftlake.quality.performance import LOOK_BACK_DAYS

_CODE_FOLDERS = ("driftlake", "sql", "expectations", "assets")
_COMPUTING_LIBRARIES = ("boost-histogram", "duckdb", "great-expectations", "numpy", "pyarrow", "scipy")

# Longer than any history.
EVERY_DAY_BEFORE = 36_500


class Input(Protocol):
    """Input of a day from outside the warehouse: the partition of a day, or facts taken from other days."""

    @property
    def dt(self) -> date:
        """The day."""

    @property
    def fingerprint(self) -> str:
        """Hash over everything that rows may depend on."""


@dataclass(frozen=True, slots=True)
class Stage:
    """The inputs of a stage, in addition to those of every stage: the code and the registered model versions.

    If a stage comes to read another setting, another stage or more days, add it here. Otherwise rows become stale.
    """

    name: str
    # what the tables hold, as the beginning of a sentence
    purpose: str
    # tables whose rows of a day it replaces when it processes the day
    tables: Sequence[str]
    # the settings that it reads, by name; for settings that name files, the texts of the files
    settings: Callable[[Settings], Mapping[str, Any]]
    # by source: how many days before its own the day reads; a source is telemetry, explanations, offline_values, labels,
    # schema_changes (since the last earlier day), usual_rows (of the same weekdays before), sampling_rates (of the
    # profiles) or an earlier stage
    reads: Callable[[Settings], Mapping[str, int]]

    @property
    def description(self) -> str:
        """The contents and names of the tables."""
        return f"{self.purpose}: {', '.join(self.tables)}."


def _label_reach(settings: Settings) -> Mapping[str, int]:
    if settings.labels is None:
        return {}
    horizon_days = settings.labels.horizon_days
    # predictions are sampled at the rate at which they were counted, whatever the rate is now
    # the predictions that labels matched on earlier days decide whether a label is about a prediction of the day
    reach = {
        "labels": history_days(settings.labels),
        "telemetry": lookback_days(settings.labels),
        "sampling_rates": horizon_days,
    }
    # the segments of a column were chosen when the predictions were counted
    return reach | ({"profiles": horizon_days} if settings.telemetry.segments else {})


def _quality_reach(settings: Settings) -> Mapping[str, int]:
    # growth of the backlog compares with the day before, whose horizon begins a day earlier
    backlog = settings.labels.horizon_days + 1 if settings.labels else 0
    longest = max(max(settings.quality.windows_days) - 1, backlog, LOOK_BACK_DAYS - 1)
    calibration = settings.quality.calibration_days - 1
    if settings.labels and settings.labels.corrections == "latest":
        # labels are final only after this
        calibration += settings.labels.horizon_days
    return {"profiles": longest, "label_cohorts": max(longest, calibration)}


def _drift_reach(settings: Settings) -> Mapping[str, int]:
    longest = max(settings.drift.windows_days)
    reach = max(reference_reach_days(reference, longest) for reference in settings.drift.references)
    if settings.telemetry.shap:
        # importance is compared with the window before if the lineage has none
        reach = max(reach, reference_reach_days("preceding", longest))
    return {"profiles": reach}


def _of_models(settings: Settings, *names: str) -> dict[str, Mapping[str, Any]]:
    """Settings of models by name: the values of the models that do not have the default."""
    default = ModelSettings()
    return {
        f"models.*.{name}": {
            model_id: value
            for model_id, model in settings.models.items()
            if (value := getattr(model, name)) != getattr(default, name)
        }
        for name in names
    }


def _sample_rows(settings: Settings) -> int | None:
    multivariate = settings.drift.multivariate
    return multivariate.sample_rows if multivariate else None


PROFILES = Stage(
    "profiles",
    "Counts per bin of features, scores, latencies, classes, and predictions that both a candidate and production "
    "answered; changes of columns (schema_changes)",
    (
        "feature_profile",
        "feature_stats",
        "prediction_profile",
        "service_profile",
        "service_levels",
        *SERVICE_TABLES,
        "importance_profile",
        "pair_profile",
        "distinct_profile",
        "heavy_hitters",
        "class_profile",
        "class_score_profile",
        "prediction_sample",
        "sampling_rates",
        *PAIRED_TABLES,
        "feature_skew",
    ),
    lambda s: {
        "telemetry": s.telemetry,
        "contracts": s.contracts,
        "contracts.suites": s.suite_texts,
        "calendar": s.calendar,
        "pseudonyms": s.pseudonyms,
        "schedule.timezone": s.schedule.timezone,
        **_of_models(s, "pairs", "decision_cut", "sampling_rate"),
        "drift.multivariate.sample_rows": _sample_rows(s),
    },
    lambda s: (
        {"telemetry": 0, "schema_changes": 0}
        | ({"usual_rows": 0} if s.contracts.enabled else {})
        | ({"explanations": 0} if s.location_of(EXPLANATIONS) else {})
        | ({"offline_values": 0} if s.location_of(OFFLINE_VALUES) else {})
    ),
)
LABEL_COHORTS = Stage(
    "label_cohorts",
    "Labels by prediction day, score bin and the day they became known",
    (*COHORT_TABLES, "label_arrivals"),
    lambda s: {
        "telemetry": s.telemetry,
        "labels": s.labels,
        "contracts": s.contracts,
        "contracts.suites": s.suite_texts,
        "schedule.timezone": s.schedule.timezone,
        **_of_models(s, "decision_cut"),
    },
    _label_reach,
)
DRIFT = Stage(
    "drift",
    "Distance of every feature and of the scores from their references, over several windows, with its noise; levels "
    "of the predictions",
    (
        "feature_drift",
        "prediction_drift",
        "segment_shift",
        "importance_drift",
        "rare_combinations",
        "multivariate_drift",
        "prediction_levels",
    ),
    lambda s: {
        "drift": s.drift,
        "drift.extensions": s.extension_texts,
        "telemetry.segments": s.telemetry.segments,
        "telemetry.shap": s.telemetry.shap,
        **_of_models(s, "pairs", "decision_cut"),
    },
    _drift_reach,
)
MODEL_QUALITY = Stage(
    "model_quality",
    "Quality with confidence intervals, candidates against production, and labels still outstanding, as of the day",
    ("model_quality", "performance", "shadow_comparison", "label_backlog"),
    lambda s: {
        "quality": s.quality,
        **_of_models(s, "tolerance", "metrics", "tier"),
        "alerts.false_pages_per_year": s.false_pages_per_year,
        **_of_models(s, "decision_cut"),
        "labels.horizon_days": s.labels and s.labels.horizon_days,
        "drift.minimum_rows": s.drift.minimum_rows,
        "drift.smoothing": s.drift.smoothing,
    },
    _quality_reach,
)
SLOS = Stage(
    "slos",
    "Objectives with their error budgets",
    ("slo_status",),
    lambda s: {
        "slos": s.slos,
        "quality.windows_days": s.quality.headline_window_days,
        "drift.windows_days": s.drift.headline_window_days,
    },
    slos.reach_days,
)
ALERTS = Stage(
    "alerts",
    "Alerts of the rules that fired, incidents, and a verdict on every model version",
    ("alerts", "incidents", "model_verdicts"),
    lambda s: {
        "alerts": s.alert_rules,
        "incidents": s.incidents,
        "reports.smallest_cell": s.reports.smallest_cell,
        **_of_models(s, "downtime", "critical", "tier"),
        "calendar.holidays": s.calendar.holidays,
    },
    # an alert has the first day on which its signal was above the threshold
    lambda _: dict.fromkeys(("profiles", "label_cohorts", "drift", "model_quality", "slos"), EVERY_DAY_BEFORE),
)

# In the order of a run: each stage reads only stages before it.
STAGES = (PROFILES, LABEL_COHORTS, DRIFT, MODEL_QUALITY, SLOS, ALERTS)


@dataclass(frozen=True, slots=True)
class Work:
    """The work of a stage: the fingerprint of every requested day, and the run in force of days that need no work.

    `damaged` has days without changes whose stored rows are not those that their run recorded.
    """

    stage: str
    fingerprints: Mapping[date, str]
    unchanged: Mapping[date, PartitionRun]
    damaged: Mapping[date, str]

    @property
    def days(self) -> list[date]:
        """Days to process, in order."""
        return sorted(self.fingerprints.keys() - self.unchanged.keys())


def find_work(
    warehouse: Warehouse,
    settings: Settings,
    context: RunContext,
    stage: Stage,
    days: Sequence[date],
    **inputs: Sequence[Input],
) -> Work:
    """Compare the inputs of each day with those that its run in force recorded; a forced run processes every day.

    Call it before the stage reads anything else: then input that is written in the meantime makes the next run
    compute the day again. `inputs` has, for every source other than a stage, the input of every day that is needed.
    """
    with warehouse.one_snapshot():
        fingerprints = _fingerprints(warehouse, settings, stage, days, inputs)
        in_force = {} if context.is_forced else runs.in_force(warehouse, stage.name, days)
        unchanged = {day: run for day, run in in_force.items() if run.input_fingerprint == fingerprints[day]}
        damaged = disagreeing_days(warehouse, stage.name, unchanged.keys())
    intact = {day: run for day, run in unchanged.items() if day not in damaged}
    return Work(stage.name, fingerprints, intact, damaged)


def new_context(settings: Settings, run_id: str, *, is_forced: bool = False) -> RunContext:
    """Identify a run that starts now; a forced run also processes days without changes."""
    return RunContext(run_id, code_version(), settings.config_hash, datetime.now(UTC), is_forced)


@cache
def code_version() -> str:
    """The version of driftlake, and a hash over all code that computes, so that an edited formula changes it.

    A wheel and the checkout from which it was built have the same code version. Raises InstallationError if files are missing.
    """
    digest = hashlib.sha256()
    for library in _COMPUTING_LIBRARIES:
        digest.update(f"{library} {version(library)}\n".encode())
    for folder in _CODE_FOLDERS:
        for name, file in sources(folder):
            digest.update(f"{name}\n".encode() + file.read_bytes())
    return f"{__version__}+{digest.hexdigest()[:12]}"


def _fingerprints(
    warehouse: Warehouse,
    settings: Settings,
    stage: Stage,
    days: Sequence[date],
    inputs: Mapping[str, Sequence[Input]],
) -> dict[date, str]:
    registered = warehouse.sql("from training_runs order by model_id, model_version").to_pylist()
    digest = hashlib.sha256(to_json([stage.name, code_version(), registered, stage.settings(settings)]))
    read: dict[date, list[Any]] = {day: [] for day in days}
    reads = stage.reads(settings)
    of_stages = {source: reach_days for source, reach_days in reads.items() if source not in inputs}
    commits = runs.commits_read(warehouse, of_stages, days)
    for source, reach_days in reads.items():
        found = _inputs_read(inputs[source], days, reach_days) if source in inputs else {}
        for day in days:
            read[day].append((source, found[day] if source in inputs else commits[source, day]))
    fingerprints = {}
    for day in days:
        of_day = digest.copy()
        of_day.update(to_json(read[day]))
        fingerprints[day] = of_day.hexdigest()
    return fingerprints


def _inputs_read(inputs: Sequence[Input], days: Sequence[date], reach_days: int) -> dict[date, list[str]]:
    known = {each.dt.toordinal(): each.fingerprint for each in inputs}
    return {
        day: [known[ordinal] for ordinal in range(day.toordinal() - reach_days, day.toordinal() + 1)] for day in days
    }
