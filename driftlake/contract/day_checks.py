"""Rules about whole days, checked against their counts: rows, hours, and how complete each feature is.

Not here: rules about rows (`expectations`), and checking rows (`driftlake.contract.row_checks`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import cache, partial
from statistics import median
from zoneinfo import ZoneInfo

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from driftlake.config import ContractSettings
from driftlake.contract.row_checks import Contract, ContractCheck, Measurement
from driftlake.contract.working_days import Calendar
from driftlake.inputs.partitions import Partition
from driftlake.lake import queries
from driftlake.lineage.versions import ModelVersion
from driftlake.maths.arrays import Counts
from driftlake.maths.binning import MISSING
from driftlake.maths.segments import ALL
from driftlake.maths.value_text import plain_type

_WEEKS, _FEWEST_WEEKS = 4, 2

# the expectation about days without rows
PRESENCE = "partition_is_present"

# Standard errors by which the missing rate of a feature must exceed that of training before it is reported.
_CERTAIN = 3.0


@dataclass(frozen=True, slots=True)
class UsualRows:
    """Numbers of rows on the same weekdays before a day, for the days that have rows."""

    dt: date
    row_counts: tuple[int, ...]
    # why no rows are expected on a day without rows; None if rows are expected
    closure: str | None = None

    @property
    def fingerprint(self) -> str:
        """Hash over the usual numbers of rows."""
        usual = self.row_counts if self.closure is None else (self.row_counts, self.closure)
        return hashlib.sha256(repr(usual).encode()).hexdigest()

    @property
    def usual(self) -> float | None:
        """The median; None if there are too few days."""
        return median(self.row_counts) if len(self.row_counts) >= _FEWEST_WEEKS else None


def weekdays_before(days: Sequence[date], start: date) -> list[date]:
    """The same weekdays of the weeks before each of `days`, from `start` on."""
    before = {day - timedelta(weeks=week) for day in days for week in range(1, _WEEKS + 1)}
    return sorted(day for day in before if day >= start)


def usual_rows(days: Sequence[date], partitions: Mapping[date, Partition], calendar: Calendar) -> list[UsualRows]:
    """The usual numbers of rows on each of the days, from the partitions of `weekdays_before`; for a day without rows also from those of a month before."""
    row_counts = {day: partition.row_count for day, partition in partitions.items()}
    return [
        UsualRows(
            day,
            tuple(rows for earlier in weekdays_before([day], date.min) if (rows := row_counts.get(earlier, 0))),
            None if row_counts.get(day) else calendar.closure(day, row_counts),
        )
        for day in days
    ]


def check_presence(partition: Partition, usual: UsualRows | None, settings: ContractSettings) -> list[ContractCheck]:
    """Whether rows are expected on a day without rows; nothing for a day with rows."""
    if partition.row_count:
        return []
    closure = usual.closure if usual and not partition.refusals and not partition.skipped else None
    day, what = partition.dt, "the telemetry files have no rows" if partition.files else "there is no telemetry"
    if closure:
        # also if the rule is switched off, because windows then need fewer days
        observed = f"{what} for {day}, {closure} on which none is expected"
        return [ContractCheck(day, "telemetry", PRESENCE, None, "warning", "passed", 0, 0, observed, "")]
    if settings.severities.get(PRESENCE) == "off":
        return []
    return [
        ContractCheck(
            day,
            "telemetry",
            PRESENCE,
            None,
            "warning",
            "failed",
            0,
            0,
            "",
            f"{what} for {day}{partition.skipped_text}",
        )
    ]


def day_bounds(days: Sequence[date], time_zone: str) -> pa.Table:
    """First and last microsecond of each day: the earlier start and the later end in UTC and in the time zone of the partitions.

    Telemetry may use either time zone.

    `evening_us` is the earlier of the two ends of the day.
    """
    zones = (UTC, ZoneInfo(time_zone))
    starts = [[_microseconds(day, zone) for zone in zones] for day in days]
    ends = [[_microseconds(day + timedelta(days=1), zone) - 1 for zone in zones] for day in days]
    return pa.table(
        {
            "dt": pa.array(days, pa.date32()),
            "day_start_us": pa.array(map(min, starts), pa.int64()),
            "day_end_us": pa.array(map(max, ends), pa.int64()),
            "evening_us": pa.array(map(min, ends), pa.int64()),
        }
    )


def _microseconds(day: date, zone: tzinfo) -> int:
    return int(datetime.combine(day, time(), zone).timestamp()) * 1_000_000


def check_row_count(contract: Contract, partition: Partition, usual: UsualRows, factor: float) -> list[ContractCheck]:
    """Whether the day has about as many rows as the same weekdays before."""
    if usual.usual is None:
        return []
    rows = partition.row_count
    is_unusual = not usual.usual / factor <= rows <= usual.usual * factor
    observed = f"{usual.usual:,.0f} are usual (median of the {len(usual.row_counts)} same weekdays before)"
    found = Measurement(partition.dt, rows, round(abs(rows - usual.usual)) if is_unusual else 0, observed)
    return contract.measured("row_count_is_usual", found)


def check_evenings(
    connection: duckdb.DuckDBPyConnection, contract: Contract, quiet_hours: float
) -> Iterator[ContractCheck]:
    """Whether there are predictions until the end of each day; counts the rows missing in the hours without predictions."""
    for day, rows, last, hours in queries.run(connection, "contract/evenings").fetchall():
        lacking = round(rows * min(hours / 24, 1)) if hours > quiet_hours else 0
        yield from contract.measured("partition_reaches_its_evening", Measurement(day, rows, lacking, last))


def check_completeness(
    contract: Contract,
    feature_stats: pa.Table,
    versions: Mapping[tuple[str, str], ModelVersion],
    settings: ContractSettings,
) -> Iterator[ContractCheck]:
    """Whether features are missing about as rarely as in training: deployments of a version together, without segments."""
    counted = _rows_by_day(feature_stats)
    days, model_ids, model_versions, features = (counted[name].to_pylist() for name in _FEATURE_OF_DAY)
    owners = list(zip(model_ids, model_versions, strict=True))
    rows, missing = (counted[f"{name}_sum"].to_numpy() for name in _ROWS)
    in_training = cache(lambda owner, feature: _missing_share(versions[owner].reference_counts[feature]))
    expected = np.array([in_training(*key) for key in zip(owners, features, strict=True)])
    noise = _CERTAIN * np.sqrt(np.maximum(expected * (1 - expected), 1 / rows) / rows)
    is_incomplete = missing / rows > expected + np.maximum(settings.missing_rate_increase, noise)
    incomplete: dict[tuple[date, tuple[str, str]], list[int]] = {key: [] for key in zip(days, owners, strict=True)}
    for place in np.flatnonzero(is_incomplete).tolist():
        incomplete[days[place], owners[place]].append(place)
    measured = partial(contract.measured, "feature_is_as_complete_as_in_training")
    for (day, owner), places in incomplete.items():
        for place in places:
            observed = f"{missing[place] / rows[place]:.1%} against {expected[place]:.1%} in training"
            found = Measurement(day, int(rows[place]), int(missing[place]), observed)
            yield from measured(found, column=features[place], owner=owner)
        if not places:
            yield from measured(Measurement(day, 0, 0), owner=owner)


_FEATURE_OF_DAY = ["dt", "model_id", "model_version", "feature"]
_ROWS = ["row_count", "missing_count"]


def _rows_by_day(feature_stats: pa.Table) -> pa.Table:
    """Rows of each feature on each day in order, of all deployments together."""
    whole = feature_stats.filter(pc.equal(feature_stats["segment"], ALL))
    counted = whole.group_by(_FEATURE_OF_DAY).aggregate([(name, "sum") for name in _ROWS])
    # only plain texts can be sorted
    counted = counted.cast(pa.schema([(field.name, plain_type(field.type)) for field in counted.schema]))
    return counted.sort_by([(name, "ascending") for name in _FEATURE_OF_DAY])


def _missing_share(reference: Counts) -> float:
    return float(reference[MISSING] / reference.sum())
