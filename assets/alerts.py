"""Alerts: the rules of driftlake.yaml over the signals of each day."""

import dagster as dg

from assets.stage import run_stage
from driftlake.config import Settings
from driftlake.nightly import raise_alerts
from driftlake.warehouse import Warehouse


def alerts_asset(partitions: dg.DailyPartitionsDefinition) -> dg.AssetsDefinition:
    @dg.asset(
        group_name="action",
        partitions_def=partitions,
        deps=["profiles", "label_cohorts", "drift", "model_quality"],
        backfill_policy=dg.BackfillPolicy.single_run(),
        description="Rules that fired, each with a sentence a person understands.",
    )
    def alerts(
        context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse], settings: dg.ResourceParam[Settings]
    ) -> dg.MaterializeResult:
        run_stage(context, warehouse, settings, raise_alerts)
        return dg.MaterializeResult()

    return alerts
