"""Sensors: runs that are requested by an event rather than at an hour.

Not here: finding changed files (`driftlake.inputs.late_files`).
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

import dagster as dg

from driftlake.config import Settings
from driftlake.inputs.late_files import LateRange, late_ranges
from driftlake.lake.catalog import catalog_of
from driftlake.lake.warehouse import Warehouse
from jobs.abandoned import UNFINISHED, end_abandoned_runs
from jobs.nightly import NIGHTLY, RANGE_END, RANGE_START

LATE_FILES = "late_files"

# Late files are hours or days late, and a tick lists a month of folders, so ticks are rare.
_INTERVAL_SECONDS = 900

# A killed run that another machine started stays unfinished in Dagster's records; the sensor waits for it no longer than this.
_LONGEST_RUN = timedelta(days=1)


def late_files_sensor(settings: Settings) -> dg.SensorDefinition:
    """The sensor that requests the days whose windows or labels contain late or changed files.

    It waits while a run is in progress, because that run may be recording these files. It is not started in a project with an `end`.
    """

    @dg.sensor(
        name=LATE_FILES,
        job_name=NIGHTLY,
        minimum_interval_seconds=_INTERVAL_SECONDS,
        default_status=dg.DefaultSensorStatus.STOPPED if settings.end else dg.DefaultSensorStatus.RUNNING,
        description=f"Files of the last {settings.schedule.late_days} days that were added, changed or removed after "
        "their day was processed.",
    )
    def late_files(context: dg.SensorEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
        if catalog_of(settings).is_missing():
            yield dg.SkipReason("no day has been processed yet")
        elif _is_running(context.instance):
            yield dg.SkipReason(f"a run of {NIGHTLY} is in progress")
        else:
            with Warehouse.open(settings, read_only=True) as warehouse:
                found = late_ranges(warehouse, settings)
            yield from _requests(found)

    return late_files


def _is_running(instance: dg.DagsterInstance) -> bool:
    end_abandoned_runs(instance, NIGHTLY)
    unfinished = dg.RunsFilter(
        job_name=NIGHTLY, statuses=list(UNFINISHED), updated_after=datetime.now(UTC) - _LONGEST_RUN
    )
    return bool(instance.get_runs(unfinished, limit=1))


def _requests(found: Sequence[LateRange]) -> Iterator[dg.RunRequest | dg.SkipReason]:
    if not found:
        yield dg.SkipReason("the files have not changed since they were recorded")
    for days in found:
        if days.first_day == days.last_day:
            yield dg.RunRequest(run_key=days.key, partition_key=days.first_day.isoformat())
        else:
            span = {RANGE_START: days.first_day.isoformat(), RANGE_END: days.last_day.isoformat()}
            yield dg.RunRequest(run_key=days.key, tags=span)
