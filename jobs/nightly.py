"""The nightly job and when it runs."""

import dagster as dg

from driftlake.config import Settings

NIGHTLY = "nightly"


def nightly_job() -> dg.UnresolvedAssetJobDefinition:
    """Every stage, for one day or a range of days."""
    return dg.define_asset_job(
        NIGHTLY,
        selection=dg.AssetSelection.all(),
        description="Register new model versions, then profile, compare, measure, alert and report.",
    )


def nightly_schedule(
    settings: Settings, job: dg.UnresolvedAssetJobDefinition
) -> dg.ScheduleDefinition | dg.UnresolvedPartitionedAssetScheduleDefinition:
    """Process yesterday at the configured hour of the configured time zone; a history that has ended has no nights."""
    return dg.build_schedule_from_partitioned_job(
        job,
        name="nightly",
        hour_of_day=settings.schedule.hour,
        description=f"Yesterday's partition, daily at {settings.schedule.hour}:00 {settings.schedule.timezone}.",
        default_status=dg.DefaultScheduleStatus.STOPPED if settings.end else dg.DefaultScheduleStatus.RUNNING,
    )
