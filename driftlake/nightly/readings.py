"""What the stages read outside the warehouse: telemetry, labels and SHAP files of some days, as they are to be counted.

Not here: files and folders themselves (`driftlake.inputs.partitions`), and what becomes of them
(`driftlake.nightly.profiles`, `driftlake.nightly.labels`).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import date

from driftlake.config import TELEMETRY, Settings
from driftlake.contract import quarantine
from driftlake.contract.day_checks import UsualRows, usual_rows, weekdays_before
from driftlake.inputs import schema_changes
from driftlake.inputs.partitions import Partition, earlier_partitions
from driftlake.inputs.schema_changes import DayChanges
from driftlake.inputs.sources import columns_of, read_source
from driftlake.lake import runs
from driftlake.lake.warehouse import Warehouse


def changes_since_earlier_days(settings: Settings, partitions: Sequence[Partition]) -> list[DayChanges]:
    """How the columns of each day differ from those of the last earlier day, whether or not that is worked on."""
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
    """How many rows the same weekdays before had."""
    days = [partition.dt for partition in partitions]
    known = {partition.dt: partition for partition in partitions}
    before = [day for day in weekdays_before(days, settings.start) if day not in known]
    return usual_rows(days, known | {partition.dt: partition for partition in read_source(settings, TELEMETRY, before)})


def counted_telemetry(warehouse: Warehouse, settings: Settings, days: Sequence[date]) -> list[Partition]:
    """Telemetry as the profiles counted it: what they refused, whatever the reason, gets no labels either."""
    refused = {run["dt"]: run["reason"] for run in runs.uncounted_profiles(warehouse)}
    stored = quarantine.stored(warehouse, "telemetry", days)
    left_out = {record.path: record.reason for record in stored if record.is_file}
    partitions = [
        replace(p, files=tuple(f.refused(left_out[f.path]) if f.path in left_out else f for f in p.files))
        for p in read_source(settings, TELEMETRY, days)
    ]
    return [p.refused(refused[p.dt]) if p.dt in refused else p for p in partitions]


def days_with_rows_in_quarantine(warehouse: Warehouse, source: str, days: Sequence[date]) -> set[date]:
    """Days of which rows, not only whole files, are left out."""
    return {record.dt for record in quarantine.stored(warehouse, source, days) if not record.is_file}


def counted_labels(
    warehouse: Warehouse, partitions: Sequence[Partition], days: Collection[date]
) -> tuple[dict[date, Partition], set[date]]:
    """Labels of every day, of `days` as they were last counted, and which of these need no second check.

    What was refused then is refused here, too. A day whose files are others now, or that failed, is as if it was never
    counted.
    """
    labels = {partition.dt: partition for partition in partitions}
    checked_days = set()
    for row in warehouse.query("counted_inputs", stage="label_cohorts", source="labels", days=list(days)).to_pylist():
        partition = labels[row["dt"]]
        counted = {(file["path"], file["content_fingerprint"]) for file in row["files"]}
        is_same = counted == {(file.path, file.content_fingerprint) for file in partition.files}
        if is_same and row["outcome"] != "failed":
            checked_days.add(partition.dt)
            if row["outcome"] == "refused":
                labels[partition.dt] = partition.refused(row["reason"])
    return labels, checked_days
