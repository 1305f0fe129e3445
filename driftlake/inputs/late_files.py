"""Input files that were added, changed or removed after their day was processed, and the days to run again.

Files are listed, not opened: path, size and time of modification are compared with what was recorded. Not here:
requesting the run (`jobs.sensors`), and deciding which stages to compute again (`driftlake.nightly.stages`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from driftlake.config import SOURCES, Settings
from driftlake.inputs.listing import list_input
from driftlake.inputs.partitions import modified_at
from driftlake.lake.warehouse import Warehouse

# By source and path inside the input, so that a project that was moved has no late files: size, time of modification, and the number of rows if it is known without opening the file.
Files = dict[tuple[str, str], tuple[int, datetime | None, int | None]]


@dataclass(frozen=True, slots=True)
class LateRange:
    """Consecutive days to run again; `key` is the same for the same files."""

    first_day: date
    last_day: date
    key: str


def late_ranges(warehouse: Warehouse, settings: Settings) -> list[LateRange]:
    """Days that depend on changed files of the last `schedule.late_days` days: from the first changed day to the newest that ran.

    Alerts depend on all earlier days, so every later day is included; the run skips the days that turn out unchanged.
    Days that never ran are not requested, so they split the range.
    """
    days = _processed_days(warehouse)
    watched = [day for day in days if day > days[-1] - timedelta(days=settings.schedule.late_days)]
    changed = changed_files(warehouse, settings, watched)
    return [LateRange(first, last, _key(first, last, changed)) for first, last in days_depending_on(warehouse, changed)]


def days_depending_on(warehouse: Warehouse, changed: Collection[date]) -> list[tuple[date, date]]:
    """Ranges of processed days, first and last, that depend on any of `changed`: all days from the first of them on."""
    if not changed:
        return []
    groups = _consecutive([day for day in _processed_days(warehouse) if day >= min(changed)])
    return [(group[0], group[-1]) for group in groups]


def changed_files(warehouse: Warehouse, settings: Settings, days: Sequence[date]) -> dict[date, Files]:
    """The days whose files differ from the recorded ones, with their files."""
    recorded: dict[date, Files] = {day: {} for day in days}
    rows = warehouse.sql(
        "select dt, source, path, size_bytes, modified_at, row_count from current_input_files where list_contains(?::date[], dt)",
        [list(days)],
    )
    found = _listed(settings, days)
    for row in rows.to_pylist():
        path = _known_as(row["source"], row["path"], found[row["dt"]])
        recorded[row["dt"]][row["source"], path] = (row["size_bytes"], row["modified_at"], row["row_count"])
    return {day: files for day, files in found.items() if not _are_same(files, recorded[day])}


def _listed(settings: Settings, days: Sequence[date]) -> dict[date, Files]:
    found: dict[date, Files] = {day: {} for day in days}
    for source in SOURCES:
        if source.is_daily and days and (location := settings.location_of(source)):
            listing = list_input(location, settings.partitioning_of(source), days)
            for day in days:
                for file in listing.files_of(day).files:
                    known = (file.size_bytes, modified_at(file.modified_ns), file.row_count)
                    found[day][source.name, file.path.removeprefix(location) or file.path] = known
    return found


def _known_as(source: str, path: str, found: Files) -> str:
    """The path inside its input of a recorded file, wherever the input was then; the path itself if there is no such file now."""
    ends = (path[place:] for place, letter in enumerate(path) if letter == "/")
    return next((end for end in ends if (source, end) in found), path)


def _are_same(found: Files, recorded: Files) -> bool:
    if found.keys() != recorded.keys():
        return False
    return all(
        size == recorded_size
        # older records lack times, and only tables know the number of rows without opening the file
        and (recorded_modified is None or modified == recorded_modified)
        and (rows is None or recorded_rows is None or rows == recorded_rows)
        for (size, modified, rows), (recorded_size, recorded_modified, recorded_rows) in (
            (known, recorded[file]) for file, known in found.items()
        )
    )


def _consecutive(days: Sequence[date]) -> list[list[date]]:
    groups: list[list[date]] = []
    for day in days:
        if not groups or day - groups[-1][-1] != timedelta(days=1):
            groups.append([])
        groups[-1].append(day)
    return groups


def _processed_days(warehouse: Warehouse) -> list[date]:
    processed = warehouse.sql("select distinct dt from partition_runs where stage = 'profiles' order by dt")
    days: list[date] = processed["dt"].to_pylist()
    return days


def _key(first_day: date, last_day: date, changed: Mapping[date, Files]) -> str:
    files = [(day, sorted(found.items(), key=repr)) for day, found in sorted(changed.items())]
    return f"{first_day}..{last_day}:{hashlib.sha256(repr(files).encode()).hexdigest()[:16]}"
