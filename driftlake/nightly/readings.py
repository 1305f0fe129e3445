"""Reads the input of stages from outside the warehouse: telemetry, labels and SHAP files of some days.

Not here: files and folders themselves (`driftlake.inputs.partitions`), and counting them
(`driftlake.nightly.profiles`, `driftlake.nightly.labels`).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import date

from driftlake.config import TELEMETRY, Settings
from driftlake.contract import quarantine
from driftlake.contract.day_checks import UsualRows, usual_rows, weekdays_before
from driftlake.contract.working_days import Calendar, history_before
from driftlake.inputs import schema_changes
from driftlake.inputs.partitions import Partition, earlier_partitions
from driftlake.inputs.schema_changes import DayChanges
from driftlake.inputs.sources import columns_of, read_source
from driftlake.lake import runs
from driftlake.lake.warehouse import Warehouse


def changes_since_earlier_days(settings: Settings, partitions: Sequence[Partition]) -> list[DayChanges]:
    """How the columns of each day differ from those of the last earlier day, whether or not the run processes that day."""
    telemetry = settings.telemetry
    columns = columns_of(TELEMETRY, settings)
    earlier = earlier_partitions(
        settings.resolve(telemetry.path),
        partitions,
        settings.start,
        columns,
        telemetry.columns,
        telemetry.partitioning,
    )
    return schema_changes.changes_between_days(partitions, earlier, telemetry.features_column)


def usual_rows_before(settings: Settings, partitions: Sequence[Partition]) -> list[UsualRows]:
    """Numbers of rows on the same weekdays before, and whether rows are expected on a day without rows."""
    days = [partition.dt for partition in partitions]
    known = {partition.dt: partition for partition in partitions}
    calendar = Calendar.of(settings)
    if not settings.contracts.enabled:
        # without contracts, the calendar is only used for what is configured, so no history is read
        return [UsualRows(day, (), calendar.closure(day, {})) for day in days]
    asked = set(weekdays_before(days, settings.start))
    for partition in partitions:
        # whether rows are expected matters only for days without rows
        asked.update(() if partition.row_count else history_before(partition.dt, settings.start))
    before = read_source(settings, TELEMETRY, sorted(asked - known.keys()))
    return usual_rows(days, known | {partition.dt: partition for partition in before}, calendar)


def counted_telemetry(warehouse: Warehouse, settings: Settings, days: Sequence[date]) -> list[Partition]:
    """Telemetry as the profiles counted it: days and files that they refused get no labels."""
    refused = {run["dt"]: run["reason"] for run in runs.uncounted_profiles(warehouse)}
    stored = quarantine.stored(warehouse, "telemetry", days)
    left_out = {record.path: record.reason for record in stored if record.is_file}
    partitions = [
        replace(p, files=tuple(f.refused(left_out[f.path]) if f.path in left_out else f for f in p.files))
        for p in read_source(settings, TELEMETRY, days)
    ]
    return [p.refused(refused[p.dt]) if p.dt in refused else p for p in partitions]


def days_with_rows_in_quarantine(warehouse: Warehouse, source: str, days: Sequence[date]) -> set[date]:
    """Days with single rows, not only whole files, in quarantine."""
    return {record.dt for record in quarantine.stored(warehouse, source, days) if not record.is_file}


def counted_labels(
    warehouse: Warehouse, partitions: Sequence[Partition], days: Collection[date]
) -> tuple[dict[date, Partition], set[date]]:
    """Labels of every day, for `days` as they were last counted, and the days that need no second check.

    Files that were refused then are refused here, too. A day whose files have changed, or that failed, is treated as
    never counted.
    """
    labels = {partition.dt: partition for partition in partitions}
    checked_days = set()
    for row in warehouse.query(
        "nightly/counted_inputs", stage="label_cohorts", source="labels", days=list(days)
    ).to_pylist():
        partition = labels[row["dt"]]
        counted = {(file["path"], file["content_fingerprint"]) for file in row["files"]}
        is_same = counted == {(file.path, file.content_fingerprint) for file in partition.files}
        if is_same and row["outcome"] != "failed":
            checked_days.add(partition.dt)
            if row["outcome"] == "refused":
                labels[partition.dt] = partition.refused(row["reason"])
    return labels, checked_days
