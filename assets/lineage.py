"""Training lineage: registers lineage files that are new. Unpartitioned: a version is registered once."""

import dagster as dg

from assets.stage import failures_explained
from driftlake.config import Settings
from driftlake.registration import register_folder
from driftlake.warehouse import Warehouse
from driftlake.wording import printable
from expectations.contracts import contracts


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
        registration = register_folder(warehouse, settings, contracts(settings))
    metadata: dict[str, int | str] = {
        "lineage_files": registration.file_count,
        "newly_registered": len(registration.registered),
    }
    if registration.refused:
        metadata["refused"] = printable("\n".join(map(str, registration.refused)))
    return dg.MaterializeResult(metadata=metadata)
