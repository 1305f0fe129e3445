"""Drift: windows of profiles compared with the training data.

Not here: the comparisons (`driftlake.drift`).
"""

import dagster as dg

from assets.stage import run_stage, windows_read
from driftlake.config import Settings
from driftlake.lake.warehouse import Warehouse
from driftlake.nightly.derived import compare_days
from driftlake.nightly.stages import DRIFT


def drift_asset(settings: Settings, partitions: dg.DailyPartitionsDefinition) -> dg.AssetsDefinition:
    @dg.asset(
        group_name="drift",
        partitions_def=partitions,
        deps=windows_read(DRIFT, settings),
        backfill_policy=dg.BackfillPolicy.single_run(),
        description=DRIFT.description,
    )
    def drift(
        context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse], settings: dg.ResourceParam[Settings]
    ) -> dg.MaterializeResult:
        run_stage(context, warehouse, settings, compare_days)
        return dg.MaterializeResult()

    return drift
