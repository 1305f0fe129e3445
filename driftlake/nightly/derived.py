"""The stages that read nothing but result tables: drift, quality, objectives, alerts.

Not here: formulas and SQL.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta

import pyarrow as pa

from driftlake import (
    alerting,
    combinations,
    incidents,
    levels,
    quality,
    shadow,
    slos,
)
from driftlake.config import Settings
from driftlake.extent import DriftExtent, QualityExtent, passes
from driftlake.inputs import days_between
from driftlake.labelled_windows import QualityCounts
from driftlake.nightly.comparison import Comparisons
from driftlake.nightly.report import StageReport, highlights_of, report
from driftlake.stages import ALERTS, DRIFT, MODEL_QUALITY, SLOS, Work, find_work
from driftlake.versions import load_versions
from driftlake.warehouse import PartitionRun, Replacement, RunContext, Warehouse


def compare_days(warehouse: Warehouse, settings: Settings, context: RunContext, days: Sequence[date]) -> StageReport:
    """Compare the windows that end with some days with their references."""
    work = find_work(warehouse, settings, context, DRIFT, days)

    def compare(first_day: date, last_day: date) -> Mapping[str, pa.Table]:
        compared = days_between(first_day, last_day)
        span = {"first_day": first_day, "last_day": last_day}
        windows_days = list(settings.drift.windows_days)
        with warehouse.offered(configured_pairs=_configured_pairs(settings)):
            paired = warehouse.query("pair_windows", **span, windows_days=windows_days)
        prediction_levels = levels.measure(
            warehouse.query("prediction_sums", **span, windows_days=windows_days),
            warehouse.query("class_sums", **span, windows_days=windows_days),
            versions,
            settings.models,
        )
        return {
            **comparisons.of_profiles(compared),
            "importance_drift": comparisons.of_importance(compared),
            "rare_combinations": combinations.rare_combinations(paired, versions, settings.drift),
            "multivariate_drift": comparisons.of_samples(compared),
            "prediction_levels": prediction_levels,
        }

    done: list[PartitionRun] = []
    if work.days:
        versions = load_versions(warehouse)
        extent = DriftExtent.read(warehouse, settings, versions, work.days)
        comparisons = Comparisons(warehouse, extent)
        done = _derive(warehouse, context, work, compare, extent.fits)
    window_days = settings.drift.headline_window_days
    return report(work, done, highlights=highlights_of(warehouse, DRIFT, days, window_days=window_days))


def _configured_pairs(settings: Settings) -> pa.Table:
    rows = [(model_id, *pair) for model_id, model in settings.models.items() for pair in model.pairs]
    names = ("model_id", "feature_a", "feature_b")
    return pa.table({name: pa.array([row[place] for row in rows], pa.string()) for place, name in enumerate(names)})


def measure_quality(warehouse: Warehouse, settings: Settings, context: RunContext, days: Sequence[date]) -> StageReport:
    """Measure ranking quality and the label backlog as of the end of some days."""
    work = find_work(warehouse, settings, context, MODEL_QUALITY, days)

    def measure(first_day: date, last_day: date) -> Mapping[str, pa.Table]:
        span = {"first_day": first_day, "last_day": last_day}
        windows_days = list(settings.quality.windows_days)
        windows = warehouse.query("window_predictions", **span, windows_days=windows_days)
        labels = warehouse.query("quality_counts", **span, windows_days=windows_days)
        scores = warehouse.query("window_scores", **span, windows_days=windows_days)
        calibrated_from = first_day - timedelta(days=settings.quality.calibration_days - 1)
        known_labels = warehouse.query("known_labels", first_day=calibrated_from, last_day=last_day)
        confusions = warehouse.query("class_counts", **span, windows_days=windows_days)
        class_scores = warehouse.query("class_score_counts", **span, windows_days=windows_days)
        counts = QualityCounts(windows, labels, scores, known_labels, confusions, class_scores)
        pair_counts = shadow.PairCounts(
            *(warehouse.query(name, **span, windows_days=windows_days) for name in shadow.QUERIES)
        )
        tables = {
            "model_quality": quality.measure(counts, versions, settings.quality, settings.models),
            "shadow_comparison": shadow.compare(windows, pair_counts, versions, settings.drift, settings.quality),
        }
        if settings.labels:
            tables["label_backlog"] = warehouse.query(
                "label_backlog", **span, horizon_days=settings.labels.horizon_days
            )
        return tables

    done: list[PartitionRun] = []
    if work.days:
        versions = load_versions(warehouse)
        extent = QualityExtent.read(warehouse, settings, versions, work.days)
        done = _derive(warehouse, context, work, measure, extent.fits)
    window_days = settings.quality.headline_window_days
    return report(work, done, highlights=highlights_of(warehouse, MODEL_QUALITY, days, window_days=window_days))


def measure_slos(warehouse: Warehouse, settings: Settings, context: RunContext, days: Sequence[date]) -> StageReport:
    """Measure the service level objectives as of the end of some days; without any, nothing is left of earlier ones."""
    if not settings.slos and not warehouse.sql("select 1 from slo_status limit 1").num_rows:
        return StageReport(SLOS.name, [])
    work = find_work(warehouse, settings, context, SLOS, days)

    def measure(first_day: date, last_day: date) -> Mapping[str, pa.Table]:
        return {"slo_status": slos.measure(warehouse, settings, first_day=first_day, last_day=last_day)}

    return report(work, _derive(warehouse, context, work, measure))


def raise_alerts(warehouse: Warehouse, settings: Settings, context: RunContext, days: Sequence[date]) -> StageReport:
    """Raise the alerts of some days."""
    work = find_work(warehouse, settings, context, ALERTS, days)

    def evaluate(first_day: date, last_day: date) -> Mapping[str, pa.Table]:
        raised = alerting.fired(warehouse, settings.alert_rules, first_day=date.min, last_day=last_day)
        alerts, grouped = incidents.group_alerts(
            warehouse, settings, load_versions(warehouse), raised, first_day=first_day, last_day=last_day
        )
        return {"alerts": alerting.with_messages(alerts), "incidents": grouped}

    done = _derive(warehouse, context, work, evaluate)
    # a night on which nothing changed loads no versions unless a rule names something
    named = [rule for rule in settings.alert_rules if rule.models or rule.features or rule.except_features]
    remarks = alerting.unknown_names(named, load_versions(warehouse).values()) if named else []
    return report(work, done, highlights=highlights_of(warehouse, ALERTS, days), remarks=remarks)


def _derive(
    warehouse: Warehouse,
    context: RunContext,
    work: Work,
    tables_of: Callable[[date, date], Mapping[str, pa.Table]],
    fits: Callable[[Sequence[date]], bool] = lambda _: True,
) -> list[PartitionRun]:
    """Replace the days to work on in tables that are derived from other tables, those that fit at a time.

    What lies between them is computed with them, which costs less than a query for each piece, and not written.
    """
    return [
        run for days in passes(work.days, fits) for run in _derive_at_once(warehouse, context, work, tables_of, days)
    ]


def _derive_at_once(
    warehouse: Warehouse,
    context: RunContext,
    work: Work,
    tables_of: Callable[[date, date], Mapping[str, pa.Table]],
    days: Sequence[date],
) -> list[PartitionRun]:
    replacements = [Replacement.of_days(name, rows, days) for name, rows in tables_of(days[0], days[-1]).items()]
    written: dict[date, int] = dict.fromkeys(days, 0)
    for replacement in replacements:
        for counted in replacement.rows["dt"].value_counts().to_pylist():
            written[counted["values"]] += counted["counts"]
    done = [
        PartitionRun(day, work.stage, "complete", rows, input_fingerprint=work.fingerprints[day])
        for day, rows in written.items()
    ]
    warehouse.replace_partitions(replacements, done, context=context)
    return done
