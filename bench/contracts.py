"""Cost of checking the contract of a day, relative to one plain scan of the checked columns.

`python -m bench.contracts [--rows 4000000]`; prints both and their ratio, writes results/contracts.json. Great Expectations is
imported before the clock starts: its cost does not depend on the size of the day.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from datetime import date, datetime
from datetime import time as clock
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench.measure import environment, save
from driftlake.contract.day_checks import day_bounds
from driftlake.contract.row_checks import Contract
from driftlake.inputs.columns import TELEMETRY_COLUMNS
from driftlake.inputs.partitions import read_partitions
from driftlake.inputs.predictions import Reading, create_version_tables, create_view_of_partitions
from driftlake.lake import queries
from driftlake.lake.session import create_table
from driftlake.lineage.versions import ModelVersion
from expectations import telemetry

DAY = date(2024, 3, 1)
ROUNDS = 5


def write_day(root: Path, rows: int) -> None:
    """Write a day without faults, with two versions alternating from row to row."""
    generator = np.random.default_rng(1)
    seconds = generator.integers(0, 86_400, rows)
    versions = np.array(["v1", "v2"])[np.arange(rows) % 2]
    columns = {
        "correlation_id": pa.array([f"{row:032x}" for row in range(rows)]),
        "event_time": pa.array(np.datetime64(datetime.combine(DAY, clock())) + seconds.astype("timedelta64[s]")),
        "model_id": pa.array(np.full(rows, "credit")).dictionary_encode(),
        "model_version": pa.array(versions).dictionary_encode(),
        "deployment": pa.array(np.full(rows, "production")).dictionary_encode(),
        "score": generator.random(rows),
        "latency_ms": generator.lognormal(3, 0.5, rows),
        "training_dataset_id": pa.array(np.full(rows, "loans")).dictionary_encode(),
    }
    (root / f"dt={DAY}").mkdir(parents=True)
    pq.write_table(pa.table(columns), root / f"dt={DAY}" / "part-0.parquet", row_group_size=250_000)


def best_of(work: Callable[[], Any]) -> float:
    """Seconds of the fastest round."""
    seconds = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def main() -> None:
    """Write the day, scan it, check it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=4_000_000)
    rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as folder, duckdb.connect() as connection:
        write_day(Path(folder), rows)
        connection.execute("set threads = 2")
        partitions = read_partitions(folder, [DAY], TELEMETRY_COLUMNS, {})
        versions = [
            ModelVersion("credit", name, "probability", {}, None, training_dataset_id="loans") for name in ("v1", "v2")
        ]
        create_version_tables(connection, versions, {})
        create_view_of_partitions(connection, "predictions", partitions, Reading(TELEMETRY_COLUMNS, {}))
        create_table(connection, "partition_days", day_bounds([DAY], "UTC"))
        queries.run(connection, "contract/telemetry")
        contract = Contract("telemetry", "telemetry", "predictions", telemetry.RULES)
        checks = contract.check(connection, [DAY])
        assert all(check.outcome == "passed" for check in checks), checks
        names = pq.read_schema(partitions[0].files[0].path).names
        scan = f"select {', '.join(f'max({name})' for name in names)} from predictions"
        found = {
            "scan_seconds": best_of(lambda: connection.execute(scan).fetchall()),
            "check_seconds": best_of(lambda: contract.check(connection, [DAY])),
        }
    found["ratio"] = found["check_seconds"] / found["scan_seconds"]
    print(f"{rows:,} rows, {len(checks)} rules: plain scan {found['scan_seconds']:.3f} s, "
          f"contract {found['check_seconds']:.3f} s, ratio {found['ratio']:.2f}")  # fmt: skip
    save("contracts", {"environment": environment(), "rows": rows, **found})


if __name__ == "__main__":
    main()
