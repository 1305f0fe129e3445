"""Training lineage: registers new lineage files. Unpartitioned, because a version is registered once.

Not here: registering a version (`driftlake.training.registration`).
"""

import dagster as dg

from assets.stage import failures_explained
from driftlake.config import Settings
from driftlake.lake.failures import trace_of
from driftlake.lake.warehouse import Warehouse
from driftlake.training.registration import register_folder
from driftlake.vocabulary.wording import printable
from expectations.contracts import contracts


@dg.asset(
    group_name="lineage",
    deps=["lineage_files"],
    description="Model versions with the bins learned from their training data: training_runs, feature_bins, "
    "feature_categories, reference_profile, reference_stats. Append-only.",
)
def training_lineage(
    context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse], settings: dg.ResourceParam[Settings]
) -> dg.MaterializeResult:
    with failures_explained():
        registration = register_folder(warehouse, settings, contracts(settings))
    for error in registration.refused:
        # an unexpected exception is logged in full, because the traceback is needed to find the bug
        context.log.error("%s%s", printable(error.message), f"\n{trace_of(error.__cause__)}" if error.__cause__ else "")
    if registration.refused and not warehouse.sql("select 1 from training_runs limit 1").num_rows:
        named = printable("\n".join(map(str, registration.refused)))
        raise dg.Failure(description=f"no model version is registered:\n{named}", allow_retries=False)
    metadata: dict[str, int | str] = {
        "lineage_files": registration.file_count,
        "newly_registered": len(registration.registered),
    }
    if remarks := [remark for file in registration.read for remark in file.remarks]:
        metadata["remarks"] = printable("\n".join(remarks))
    if registration.refused:
        metadata["refused"] = printable("\n".join(map(str, registration.refused)))
    return dg.MaterializeResult(metadata=metadata)
