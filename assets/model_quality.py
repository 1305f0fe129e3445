"""Model quality: ranking and label backlog as of the end of each day."""

import dagster as dg

from assets.stage import run_stage
from driftlake.config import Settings
from driftlake.nightly import measure_quality
from driftlake.warehouse import Warehouse


def model_quality_asset(settings: Settings, partitions: dg.DailyPartitionsDefinition) -> dg.AssetsDefinition:
    horizon_days = settings.labels.horizon_days if settings.labels else 0
    window = dg.TimeWindowPartitionMapping(
        start_offset=1 - max(*settings.quality.windows_days, horizon_days), end_offset=0
    )

    @dg.asset(
        group_name="labels",
        partitions_def=partitions,
        deps=[
            dg.AssetDep("profiles", partition_mapping=window),
            dg.AssetDep("label_cohorts", partition_mapping=window),
        ],
        backfill_policy=dg.BackfillPolicy.single_run(),
        description="AUC with its interval and the labels still outstanding, as of the day: model_quality, "
        "label_backlog.",
    )
    def model_quality(
        context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse], settings: dg.ResourceParam[Settings]
    ) -> dg.MaterializeResult:
        run_stage(context, warehouse, settings, measure_quality)
        return dg.MaterializeResult()

    return model_quality
