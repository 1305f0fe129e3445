"""Alerts: the rules of driftlake.yaml over the signals of each day.

Not here: evaluating rules (`driftlake.alerts`), and notices (`assets.delivery`).
"""

from dataclasses import replace
from datetime import date

import dagster as dg

from assets.stage import run_stage
from driftlake.config import Settings
from driftlake.lake.warehouse import RunContext, Warehouse
from driftlake.nightly.derived import measure_slos, raise_alerts
from driftlake.nightly.stage_report import StageReport
from driftlake.nightly.stages import ALERTS, SLOS


def _measure_and_raise(warehouse: Warehouse, settings: Settings, identity: RunContext, days: list[date]) -> StageReport:
    # not a separate asset, because Dagster writes several records per asset and day
    objectives = measure_slos(warehouse, settings, identity, days)
    raised = raise_alerts(warehouse, settings, identity, days)
    return replace(raised, failures=[*objectives.failures, *raised.failures])


def alerts_asset(partitions: dg.DailyPartitionsDefinition) -> dg.AssetsDefinition:
    @dg.asset(
        group_name="action",
        partitions_def=partitions,
        deps=["profiles", "label_cohorts", "drift", "model_quality"],
        backfill_policy=dg.BackfillPolicy.single_run(),
        description=f"{SLOS.description} {ALERTS.description}",
    )
    def alerts(
        context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse], settings: dg.ResourceParam[Settings]
    ) -> dg.MaterializeResult:
        run_stage(context, warehouse, settings, _measure_and_raise)
        return dg.MaterializeResult()

    return alerts
