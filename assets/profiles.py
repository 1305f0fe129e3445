"""Profiles: the one stage that reads telemetry rows, checked against their contract first."""

from functools import partial

import dagster as dg

from assets.stage import contract_result, run_stage
from driftlake.config import Settings
from driftlake.lake.warehouse import Warehouse
from driftlake.nightly.profiles import profile_days
from expectations.contracts import contracts

_CHECK = "telemetry_contract"


def profiles_asset(partitions: dg.DailyPartitionsDefinition) -> dg.AssetsDefinition:
    @dg.asset(
        group_name="profiles",
        partitions_def=partitions,
        deps=["telemetry", "training_lineage"],
        check_specs=[dg.AssetCheckSpec(_CHECK, asset="profiles", description="What telemetry promises, day by day.")],
        backfill_policy=dg.BackfillPolicy.single_run(),
        description="Counts per bin of features, scores and latencies, of classes and of predictions that a candidate and "
        "production have both answered: feature_profile, feature_stats, prediction_profile, class_profile, shadow_profile, "
        "shadow_differences, service_profile, service_levels, service_parts, service_bins, service_errors, sampling_rates; importance_profile, pair_profile, distinct_profile, "
        "heavy_hitters and prediction_sample where configured; and what changed of their columns: schema_changes. A day that breaks its "
        "contract keeps its old rows.",
    )
    def profiles(
        context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse], settings: dg.ResourceParam[Settings]
    ) -> dg.MaterializeResult:
        stage = partial(profile_days, contracts=contracts(settings))
        report = run_stage(context, warehouse, settings, stage)
        return dg.MaterializeResult(check_results=[contract_result(report, _CHECK)])

    return profiles
