"""Label cohorts: checks labels against their contract and joins them to their predictions.

Not here: the join (`driftlake.nightly.labels`), and the rules (`expectations`).
"""

from functools import partial

import dagster as dg

from assets.stage import contract_result, run_stage
from driftlake.config import Settings
from driftlake.lake.warehouse import Warehouse
from driftlake.nightly.labels import count_labels
from driftlake.nightly.stages import LABEL_COHORTS
from expectations.contracts import contracts

_CHECK = "labels_contract"


def label_cohorts_asset(settings: Settings, partitions: dg.DailyPartitionsDefinition) -> dg.AssetsDefinition:
    @dg.asset(
        group_name="labels",
        partitions_def=partitions,
        deps=[*(["labels"] if settings.labels else []), "telemetry", "profiles"],
        check_specs=[
            dg.AssetCheckSpec(_CHECK, asset="label_cohorts", description="The contract of labels, day by day.")
        ],
        backfill_policy=dg.BackfillPolicy.single_run(),
        description=LABEL_COHORTS.description,
    )
    def label_cohorts(
        context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse], settings: dg.ResourceParam[Settings]
    ) -> dg.MaterializeResult:
        stage = partial(count_labels, contracts=contracts(settings))
        report = run_stage(context, warehouse, settings, stage)
        return dg.MaterializeResult(check_results=[contract_result(report, _CHECK)])

    return label_cohorts
