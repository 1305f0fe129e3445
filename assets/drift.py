"""Drift: windows of profiles compared with the training data."""

import dagster as dg

from assets.stage import run_stage
from driftlake.config import Settings
from driftlake.lake.warehouse import Warehouse
from driftlake.nightly.derived import compare_days
from driftlake.nightly.stages import DRIFT


def drift_asset(settings: Settings, partitions: dg.DailyPartitionsDefinition) -> dg.AssetsDefinition:
    window = dg.TimeWindowPartitionMapping(start_offset=-DRIFT.reads(settings)["profiles"], end_offset=0)

    @dg.asset(
        group_name="drift",
        partitions_def=partitions,
        deps=[dg.AssetDep("profiles", partition_mapping=window)],
        backfill_policy=dg.BackfillPolicy.single_run(),
        description="Distance of every feature and of the scores from training, over several windows, with its noise, and "
        "what is predicted: feature_drift, prediction_drift, segment_shift, importance_drift, rare_combinations, "
        "multivariate_drift, prediction_levels.",
    )
    def drift(
        context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse], settings: dg.ResourceParam[Settings]
    ) -> dg.MaterializeResult:
        run_stage(context, warehouse, settings, compare_days)
        return dg.MaterializeResult()

    return drift
