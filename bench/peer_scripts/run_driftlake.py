"""driftlake: a day from Parquet to committed profiles, and its drift from the training sample, committed as well.

It computes every statistic over every window for every feature of two model versions. The time includes reading.
"""

from __future__ import annotations

import sys
from datetime import date, timedelta
from pathlib import Path

from protocol import clock, tell

from bench import wide_day
from driftlake.config import load_settings
from driftlake.lake.warehouse import Warehouse
from driftlake.nightly.derived import compare_days
from driftlake.nightly.profiles import profile_days
from driftlake.nightly.stages import new_context


def main() -> None:
    settings = load_settings(Path(sys.argv[1]))
    with Warehouse.open(settings) as warehouse:

        def work(day: date) -> None:
            context = new_context(settings, "bench", is_forced=True)
            profile_days(warehouse, settings, context, [day])
            compare_days(warehouse, settings, context, [day])

        work(wide_day.DAY - timedelta(days=1))
        seconds, _ = clock(lambda: work(wide_day.DAY))
        psi = warehouse.sql(
            "select count(distinct feature) as features from feature_drift"
            " where dt = ? and statistic = 'psi' and value is not null",
            [wide_day.DAY],
        ).to_pylist()
    assert psi == [{"features": wide_day.NUMERIC + wide_day.TEXT}]
    tell("driftlake", seconds, 0.0)


if __name__ == "__main__":
    main()
