"""Profiles: checks telemetry against its contract and counts it.

Not here: counting (`driftlake.nightly.profiles`), and the rules (`expectations`).
"""

from functools import partial

import dagster as dg

from assets.stage import contract_result, run_stage
from driftlake.config import EXPLANATIONS, OFFLINE_VALUES, Settings
from driftlake.lake.warehouse import Warehouse
from driftlake.nightly.profiles import profile_days
from driftlake.nightly.stages import PROFILES
from expectations.contracts import contracts

_CHECK = "telemetry_contract"


def profiles_asset(settings: Settings, partitions: dg.DailyPartitionsDefinition) -> dg.AssetsDefinition:
    @dg.asset(
        group_name="profiles",
        partitions_def=partitions,
        deps=[
            "telemetry",
            *(source.name for source in (EXPLANATIONS, OFFLINE_VALUES) if settings.location_of(source)),
            "training_lineage",
        ],
        check_specs=[dg.AssetCheckSpec(_CHECK, asset="profiles", description="The contract of telemetry, day by day.")],
        backfill_policy=dg.BackfillPolicy.single_run(),
        description=f"{PROFILES.description} A refused day keeps its earlier rows.",
    )
    def profiles(
        context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse], settings: dg.ResourceParam[Settings]
    ) -> dg.MaterializeResult:
        stage = partial(profile_days, contracts=contracts(settings))
        report = run_stage(context, warehouse, settings, stage)
        return dg.MaterializeResult(check_results=[contract_result(report, _CHECK)])

    return profiles
