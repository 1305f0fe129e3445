"""The stages that read only result tables: drift, quality, objectives, alerts.

Not here: formulas and SQL.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date, timedelta
from typing import TypeVar

import pyarrow as pa

from driftlake.alerts import incidents, rules, slos, verdicts
from driftlake.config import Settings
from driftlake.contract.working_days import Calendar
from driftlake.drift import combinations
from driftlake.inputs.partitions import days_between
from driftlake.lake.warehouse import PartitionRun, Replacement, RunContext, Warehouse
from driftlake.lineage.versions import ModelVersion, load_versions
from driftlake.maths.drift_statistics import KINDS
from driftlake.nightly.drift_passes import Comparisons
from driftlake.nightly.extent import DriftExtent, Extent, QualityExtent, Unbounded, passes
from driftlake.nightly.isolation import (
    Computed,
    Isolation,
    Outcome,
    Part,
    keys_of,
    version_parts,
    without_versions,
)
from driftlake.nightly.stage_report import StageReport, report
from driftlake.nightly.stages import ALERTS, DRIFT, MODEL_QUALITY, SLOS, Stage, Work, find_work
from driftlake.quality import levels, measures, performance, shadow
from driftlake.quality.class_calibrations import class_calibrations_of
from driftlake.quality.labelled_windows import QualityCounts, calibrations_of

ExtentKind = TypeVar("ExtentKind", bound=Extent)


def compare_days(warehouse: Warehouse, settings: Settings, context: RunContext, days: Sequence[date]) -> StageReport:
    """Compare the windows that end with some days with their references."""
    work = find_work(warehouse, settings, context, DRIFT, days)

    def read_extent(settings: Settings, days: Sequence[date]) -> DriftExtent:
        return DriftExtent.read(warehouse, settings, load_versions(warehouse), days)

    def compare(settings: Settings, extent: DriftExtent, first_day: date, last_day: date) -> Mapping[str, pa.Table]:
        compared, versions, comparisons = (
            days_between(first_day, last_day),
            extent.versions,
            Comparisons(warehouse, extent),
        )
        span = {"first_day": first_day, "last_day": last_day}
        windows_days = list(settings.drift.windows_days)
        with warehouse.registered(configured_pairs=_configured_pairs(settings)):
            paired = warehouse.query("drift/pair_windows", **span, windows_days=windows_days)
        prediction_levels = levels.measure(
            warehouse.query("quality/prediction_sums", **span, windows_days=windows_days),
            warehouse.query("quality/class_sums", **span, windows_days=windows_days),
            versions,
            settings.models,
        )
        return {
            **comparisons.of_profiles(compared),
            "importance_drift": comparisons.of_importance(compared),
            "rare_combinations": combinations.rare_combinations(
                paired, versions, settings.drift, comparisons.open_days
            ),
            "multivariate_drift": comparisons.of_samples(compared),
            "prediction_levels": prediction_levels,
        }

    outcome = _derive(warehouse, settings, context, DRIFT, work, read_extent, compare)
    return report(work, outcome)


def _configured_pairs(settings: Settings) -> pa.Table:
    rows = [(model_id, *pair) for model_id, model in settings.models.items() for pair in model.pairs]
    names = ("model_id", "feature_a", "feature_b")
    return pa.table({name: pa.array([row[place] for row in rows], pa.string()) for place, name in enumerate(names)})


def measure_quality(warehouse: Warehouse, settings: Settings, context: RunContext, days: Sequence[date]) -> StageReport:
    """Measure ranking quality and the label backlog as of the end of some days."""
    work = find_work(warehouse, settings, context, MODEL_QUALITY, days)

    def read_extent(settings: Settings, days: Sequence[date]) -> QualityExtent:
        return QualityExtent.read(warehouse, settings, load_versions(warehouse), days)

    def measure(settings: Settings, extent: QualityExtent, first_day: date, last_day: date) -> Mapping[str, pa.Table]:
        return quality_tables(warehouse, settings, extent.versions, first_day, last_day)

    outcome = _derive(warehouse, settings, context, MODEL_QUALITY, work, read_extent, measure)
    return report(work, outcome)


def quality_tables(
    warehouse: Warehouse,
    settings: Settings,
    versions: Mapping[tuple[str, str], ModelVersion],
    first_day: date,
    last_day: date,
) -> Mapping[str, pa.Table]:
    """Rows of the tables about quality as of the end of some days, from the stored counts."""
    span = {"first_day": first_day, "last_day": last_day}
    windows_days = list(settings.quality.windows_days)
    windows = warehouse.query("quality/window_predictions", **span, windows_days=windows_days)
    labels = warehouse.query("quality/quality_counts", **span, windows_days=windows_days)
    scores = warehouse.query("quality/window_scores", **span, windows_days=windows_days)
    calibrated_from = first_day - timedelta(days=settings.quality.calibration_days - 1)
    is_latest = settings.labels is not None and settings.labels.corrections == "latest"
    learned_from = {
        "first_day": calibrated_from,
        "last_day": last_day,
        "is_latest": is_latest,
        "horizon_days": settings.labels.horizon_days if settings.labels else 0,
    }
    known_labels = warehouse.query("quality/known_labels", **learned_from)
    confusions = warehouse.query("quality/class_counts", **span, windows_days=windows_days)
    class_scores = warehouse.query("quality/class_score_counts", **span, windows_days=windows_days)
    counts = QualityCounts(windows, labels, scores, confusions, class_scores)
    calibrations = calibrations_of(known_labels, versions, settings.quality, is_final_at_once=not is_latest)
    class_calibrations = {}
    if any(version.classes for version in versions.values()):
        known_class_labels = warehouse.query("quality/known_class_labels", **learned_from)
        class_calibrations = class_calibrations_of(known_class_labels, versions, settings.quality)
    performed = performance.PerformanceCounts.read(
        lambda name: warehouse.query(f"quality/{name}", **span, look_back_days=performance.LOOK_BACK_DAYS), versions
    )
    pair_counts = shadow.PairCounts(
        *(warehouse.query(f"quality/{name}", **span, windows_days=windows_days) for name in shadow.QUERIES)
    )
    repeated_ids = warehouse.query(
        "quality/repeated_ids", **span, windows_days=windows_days, smallest_share=measures.SMALLEST_REPEATED_SHARE
    )
    measured = measures.measure(counts, versions, calibrations, settings.quality, settings.models)
    performance_rows = performance.measure(performed, versions, calibrations, class_calibrations, settings, **span)
    measured = measures.with_days_as_clusters(measured, performance_rows)
    tables = {
        "model_quality": measures.with_doubts(measured, repeated_ids),
        "performance": performance_rows,
        "shadow_comparison": shadow.compare(windows, pair_counts, versions, settings.drift, settings.quality),
    }
    if settings.labels:
        tables["label_backlog"] = warehouse.query(
            "quality/label_backlog", **span, horizon_days=settings.labels.horizon_days
        )
    return tables


def measure_slos(warehouse: Warehouse, settings: Settings, context: RunContext, days: Sequence[date]) -> StageReport:
    """Measure the service level objectives as of the end of some days; rows of objectives that are no longer configured are removed."""
    if not settings.slos and not warehouse.sql("select 1 from slo_status limit 1").num_rows:
        return StageReport(SLOS.name, [])
    work = find_work(warehouse, settings, context, SLOS, days)

    def measure(settings: Settings, _: Unbounded, first_day: date, last_day: date) -> Mapping[str, pa.Table]:
        return {"slo_status": slos.measure(warehouse, settings, first_day=first_day, last_day=last_day)}

    return report(work, _derive(warehouse, settings, context, SLOS, work, Unbounded, measure))


def raise_alerts(warehouse: Warehouse, settings: Settings, context: RunContext, days: Sequence[date]) -> StageReport:
    """Raise the alerts of some days."""
    work = find_work(warehouse, settings, context, ALERTS, days)
    calendar = Calendar.of(settings)
    every_rule = {rule.name for rule in settings.alert_rules}

    def evaluate(settings: Settings, _: Unbounded, first_day: date, last_day: date) -> Mapping[str, pa.Table]:
        holidays = [day for day in days_between(settings.start, last_day) if calendar.is_holiday(day)]
        raised = rules.fired(warehouse, settings.alert_rules, first_day=date.min, last_day=last_day, holidays=holidays)
        if unevaluated := every_rule - {rule.name for rule in settings.alert_rules}:
            # their incidents stay open, because it is not known whether they are over
            kept = warehouse.query("alerts/kept_alerts", rules=sorted(unevaluated), day=last_day)
            raised = pa.concat_tables([raised, kept], promote_options="permissive")
        alerts, grouped = incidents.group_alerts(
            warehouse, settings, load_versions(warehouse), raised, first_day=first_day, last_day=last_day
        )
        judged = verdicts.judge(warehouse, alerts, grouped, first_day=first_day, last_day=last_day)
        return {"alerts": rules.with_messages(alerts), "incidents": grouped, "model_verdicts": judged}

    outcome = _derive(warehouse, settings, context, ALERTS, work, Unbounded, evaluate)
    # if nothing changed, versions are loaded only if a rule names a model or feature
    named = [rule for rule in settings.alert_rules if rule.models or rule.features or rule.except_features]
    remarks = rules.unknown_names(named, load_versions(warehouse).values()) if named else []
    return report(work, outcome, remarks=remarks)


def _derive(
    warehouse: Warehouse,
    settings: Settings,
    context: RunContext,
    stage: Stage,
    work: Work,
    read_extent: Callable[[Settings, Sequence[date]], ExtentKind],
    tables_of: Callable[[Settings, ExtentKind, date, date], Mapping[str, pa.Table]],
) -> Outcome:
    """Replace the days to be processed in tables that are derived from other tables, in passes of days that fit in memory.

    Days between them are computed as well but not written, which costs less than a query for each separate range.
    `tables_of` and `read_extent` get the settings without the parts to leave out.
    """
    # the extent of all days; if it cannot be read, each attempt reads the extent of its days
    whole: list[ExtentKind] = []

    def split(days: Sequence[date]) -> list[Sequence[date]]:
        whole.append(read_extent(settings, days))
        return passes(days, whole[0].fits)

    def compute(days: Sequence[date], left_out: Collection[Part]) -> Computed:
        with without_versions(warehouse, keys_of(left_out, "model version")):
            kept = _without(settings, left_out)
            extent = whole[0] if whole and not left_out else read_extent(kept, days)
            tables = tables_of(kept, extent, days[0], days[-1])
        replacements = [Replacement.of_days(name, rows, days) for name, rows in tables.items()]
        written: dict[date, int] = dict.fromkeys(days, 0)
        for replacement in replacements:
            for day, count in replacement.row_counts().items():
                written[day] += count
        runs = [
            PartitionRun(day, work.stage, "complete", rows, input_fingerprint=work.fingerprints[day])
            for day, rows in written.items()
        ]
        return Computed(replacements, runs)

    isolation = Isolation(warehouse, context, stage, compute, lambda: _parts(warehouse, settings, stage))
    if work.days:
        isolation.work_on(work.days, split)
    return isolation.outcome


def _parts(warehouse: Warehouse, settings: Settings, stage: Stage) -> list[Part]:
    """The parts that can be left out of a day of a stage. Alerts and objectives cover several versions at once."""
    if stage is ALERTS:
        return [Part("rule", (rule.name,)) for rule in settings.alert_rules]
    if stage is SLOS:
        return [Part("objective", (slo.name,), ("slo",)) for slo in settings.slos]
    versions = warehouse.sql("select model_id, model_version from training_runs order by model_id, model_version")
    parts = version_parts((row["model_id"], row["model_version"]) for row in versions.to_pylist())
    if stage is DRIFT:
        chosen = settings.drift.statistics
        names = dict.fromkeys((*chosen.numeric, *chosen.categorical))
        parts += [Part("statistic", (name,), ("statistic",)) for name in names]
    return parts


def _without(settings: Settings, left_out: Collection[Part]) -> Settings:
    """The settings without the left-out statistics, objectives and rules."""
    if not left_out:
        return settings
    statistics, objectives, rules = (keys_of(left_out, kind) for kind in ("statistic", "objective", "rule"))
    chosen = settings.drift.statistics
    kept = {str(kind): tuple(name for name in chosen.of(kind) if (name,) not in statistics) for kind in KINDS}
    drift = settings.drift.model_copy(update={"statistics": chosen.model_copy(update=kept)})
    return settings.model_copy(
        update={
            "drift": drift,
            "slos": tuple(slo for slo in settings.slos if (slo.name,) not in objectives),
            "alerts": tuple(rule for rule in settings.alert_rules if (rule.name,) not in rules),
        }
    )
