"""Model quality: ranking and label backlog as of the end of each day.

Not here: what is measured (`driftlake.quality`).
"""

import dagster as dg

from assets.stage import run_stage, windows_read
from driftlake.config import Settings
from driftlake.lake.warehouse import Warehouse
from driftlake.nightly.derived import measure_quality
from driftlake.nightly.stages import MODEL_QUALITY


def model_quality_asset(settings: Settings, partitions: dg.DailyPartitionsDefinition) -> dg.AssetsDefinition:
    @dg.asset(
        group_name="labels",
        partitions_def=partitions,
        deps=windows_read(MODEL_QUALITY, settings),
        backfill_policy=dg.BackfillPolicy.single_run(),
        description=MODEL_QUALITY.description,
    )
    def model_quality(
        context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse], settings: dg.ResourceParam[Settings]
    ) -> dg.MaterializeResult:
        run_stage(context, warehouse, settings, measure_quality)
        return dg.MaterializeResult()

    return model_quality
