"""Model quality: ranking and label backlog as of the end of each day."""

import dagster as dg

from assets.stage import run_stage
from driftlake.config import Settings
from driftlake.lake.warehouse import Warehouse
from driftlake.nightly.derived import measure_quality
from driftlake.nightly.stages import MODEL_QUALITY


def model_quality_asset(settings: Settings, partitions: dg.DailyPartitionsDefinition) -> dg.AssetsDefinition:
    windows = {
        stage: dg.TimeWindowPartitionMapping(start_offset=-reach_days, end_offset=0)
        for stage, reach_days in MODEL_QUALITY.reads(settings).items()
    }

    @dg.asset(
        group_name="labels",
        partitions_def=partitions,
        deps=[dg.AssetDep(stage, partition_mapping=window) for stage, window in windows.items()],
        backfill_policy=dg.BackfillPolicy.single_run(),
        description="AUC with its interval, candidates against production and the labels still outstanding, as of the day: "
        "model_quality, shadow_comparison, label_backlog.",
    )
    def model_quality(
        context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse], settings: dg.ResourceParam[Settings]
    ) -> dg.MaterializeResult:
        run_stage(context, warehouse, settings, measure_quality)
        return dg.MaterializeResult()

    return model_quality
