"""The nightly job and when it runs.

Not here: what its stages do (`assets`), and starting it from a terminal (`jobs.launch`).
"""

import dagster as dg

from driftlake.config import Settings

NIGHTLY = "nightly"

# Tags with which Dagster runs a range of partitions.
RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


def nightly_definitions(settings: Settings) -> dg.Definitions:
    """The job that runs every stage for a day or a range of days, and the schedule that runs it for yesterday.

    The schedule of a project with an `end` is not started.
    """
    job = dg.define_asset_job(
        NIGHTLY,
        selection=dg.AssetSelection.all(),
        description="Register new model versions, then profile, compare, measure, alert and report.",
    )
    schedule = dg.build_schedule_from_partitioned_job(
        job,
        name=NIGHTLY,
        hour_of_day=settings.schedule.hour,
        description=f"The partition of the day before, daily at {settings.schedule.hour}:00 "
        f"{settings.schedule.timezone}.",
        default_status=dg.DefaultScheduleStatus.STOPPED if settings.end else dg.DefaultScheduleStatus.RUNNING,
    )
    return dg.Definitions(jobs=[job], schedules=[schedule])
