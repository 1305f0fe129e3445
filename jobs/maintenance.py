"""The weekly job that keeps the warehouse and the reports small.

Not here: what it does (`driftlake.lake.maintenance`, `driftlake.report.page_files`).
"""

from datetime import UTC, datetime

import dagster as dg

from assets.stage import failures_explained
from driftlake.config import Settings
from driftlake.lake.maintenance import maintain, upkeep_lines
from driftlake.lake.warehouse import Warehouse
from driftlake.report.page_files import removed_lines
from driftlake.report.pages import clean

MAINTENANCE = "maintenance"

# Half a day apart from the nightly run, because compaction briefly blocks commits.
_HOURS_AFTER_THE_NIGHT = 12


@dg.op
def maintain_warehouse(
    context: dg.OpExecutionContext, warehouse: dg.ResourceParam[Warehouse], settings: dg.ResourceParam[Settings]
) -> None:
    """Compact small files, expire old snapshots, delete files that no snapshot needs and old pages."""
    with failures_explained():
        now = datetime.now(UTC)
        done = maintain(warehouse, settings, now=now)
        removed = clean(warehouse, settings, now=now)
    context.log.info("\n".join([*upkeep_lines(done), *removed_lines(removed)]))


@dg.job(name=MAINTENANCE)
def maintenance_job() -> None:
    """Keep the warehouse small. No row changes, and nightly runs may run at the same time."""
    maintain_warehouse()


def maintenance_definitions(settings: Settings) -> dg.Definitions:
    """The job and its schedule: Sundays, half a day after the hour of the nightly run. Not started for a history that has ended."""
    hour = (settings.schedule.hour + _HOURS_AFTER_THE_NIGHT) % 24
    schedule = dg.ScheduleDefinition(
        name=MAINTENANCE,
        job=maintenance_job,
        cron_schedule=f"0 {hour} * * 0",
        execution_timezone=settings.schedule.timezone,
        default_status=dg.DefaultScheduleStatus.STOPPED if settings.end else dg.DefaultScheduleStatus.RUNNING,
        description=f"Sundays at {hour}:00 {settings.schedule.timezone}.",
    )
    return dg.Definitions(jobs=[maintenance_job], schedules=[schedule])
