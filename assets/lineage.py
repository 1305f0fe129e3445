"""Training lineage: registers lineage files that are new. Unpartitioned: a version is registered once."""

import dagster as dg

from assets.stage import failures_explained
from driftlake.config import Settings
from driftlake.lineage import read_lineage_folder, register
from driftlake.warehouse import Warehouse


@dg.asset(
    group_name="lineage",
    deps=["lineage_files"],
    description="Model versions with the bins learned from their training data: training_runs, feature_bins, "
    "feature_categories, reference_profile, reference_stats. Append-only.",
)
def training_lineage(
    warehouse: dg.ResourceParam[Warehouse], settings: dg.ResourceParam[Settings]
) -> dg.MaterializeResult:
    with failures_explained():
        files = read_lineage_folder(settings)
        registered = register(warehouse, settings, files)
    return dg.MaterializeResult(metadata={"lineage_files": len(files), "newly_registered": len(registered)})
