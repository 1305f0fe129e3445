"""The Dagster assets: one module per stage, each a thin shell around one call of the core.

Not here: formulas, SQL, schedules. `build_assets` is what `jobs.definitions` assembles.
"""

from datetime import timedelta

import dagster as dg

from assets.alerts import alerts_asset
from assets.delivery import delivery
from assets.drift import drift_asset
from assets.inputs import input_specs
from assets.label_cohorts import label_cohorts_asset
from assets.lineage import training_lineage
from assets.model_quality import model_quality_asset
from assets.profiles import profiles_asset
from assets.report import report
from driftlake.config import Settings

__all__ = ["build_assets", "daily_partitions"]


def daily_partitions(settings: Settings) -> dg.DailyPartitionsDefinition:
    """A partition per day from the configured start, in the configured time zone."""
    return dg.DailyPartitionsDefinition(
        start_date=settings.start.isoformat(),
        # Dagster's end is exclusive
        end_date=(settings.end + timedelta(days=1)).isoformat() if settings.end else None,
        timezone=settings.schedule.timezone,
    )


def build_assets(settings: Settings) -> list[dg.AssetsDefinition | dg.AssetSpec]:
    """Every asset of the graph."""
    partitions = daily_partitions(settings)
    return [
        *input_specs(settings, partitions),
        training_lineage,
        profiles_asset(settings, partitions),
        label_cohorts_asset(settings, partitions),
        drift_asset(settings, partitions),
        model_quality_asset(settings, partitions),
        alerts_asset(partitions),
        *([delivery] if settings.delivery.channels or settings.delivery.prometheus_file else []),
        report,
    ]
