"""A generated day of any number of predictions, written by DuckDB: two versions, 8 numeric and 2 text features.

The features are those of `wide_day.feature_columns(numeric=8, text=2)` in name, type and, nearly, distribution.
"""

from __future__ import annotations

from datetime import date

import duckdb

from bench import wide_day
from driftlake.config import Settings

NUMERIC, TEXT = 8, 2
ROWS_PER_FILE = 4_000_000

# Box and Muller 1958; each random() is a separate draw.
_NORMAL = """
create macro normal(mean, deviation) as
    mean + deviation * sqrt(-2 * ln(1 - random())) * cos(2 * pi() * random())
"""
# The frequency of category j is about proportional to 1 / j.
_CATEGORY = "create macro category(categories) as 'category-' || (floor(power(categories + 1, random()))::integer - 1)"
_ROWS = f"""
copy (
    select
        printf('%016x', hash(i)) as correlation_id,
        $day::date + to_seconds(floor(random() * 86400)::bigint) as event_time,
        'wide' as model_id,
        if(random() < 0.5, 'v1', 'v2') as model_version,
        1 / (1 + exp(-normal(-1, 1.5))) as score,
        exp(normal(3, 0.5)) as latency_ms,
        normal(0, 1) as n000,
        normal(1, 2) as n001,
        exp(normal(0, 2)) as n002,
        normal(3, 4) as n003,
        round(normal(200, sqrt(200)))::bigint as n004,
        exp(normal(0, 2)) as n005,
        normal(6, 7) as n006,
        normal(7, 8) as n007,
        category(5) as t000,
        category(20) as t001
    from range($first, $last) as numbers(i)
) to $path (format parquet, row_group_size {wide_day.ROW_GROUP})
"""


def write_day(settings: Settings, rows: int, day: date) -> None:
    """Write a day of `rows` predictions in files of four million rows."""
    folder = wide_day.day_folder(settings, day)
    with duckdb.connect() as connection:
        connection.execute("set enable_progress_bar = false")
        connection.execute(_NORMAL)
        connection.execute(_CATEGORY)
        for first in range(0, rows, ROWS_PER_FILE):
            path = str(folder / f"part-{first:012d}.parquet")
            last = min(first + ROWS_PER_FILE, rows)
            connection.execute(_ROWS, {"day": day, "first": first, "last": last, "path": path})
