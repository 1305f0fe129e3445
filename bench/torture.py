"""Claim: readers and writers during maintenance of the warehouse see complete days, each from exactly one commit.

`python -m bench.torture [--seconds 600] [--catalog postgres] [--seed 1]`: writers replace days, readers check every read, and
maintenance runs all the time, each in a process of its own. Prints what was done and every deviation; writes
results/torture_<catalog>.json. Exit code 1 if anything deviated or failed.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from bench.broken_postgres import Server
from bench.measure import environment, save
from driftlake.config import Settings, load_settings
from driftlake.lake.maintenance import maintain
from driftlake.lake.warehouse import PartitionRun, Replacement, Warehouse
from driftlake.nightly.stages import new_context

FIRST_DAY, DAY_COUNT = date(2026, 1, 1), 24
# One table whose days are files, and one whose days are so few rows that the catalog itself stores them.
ROWS_OF_A_DAY = {"sampling_rates": 400, "label_arrivals": 1}
WRITERS, READERS = 2, 2


@dataclass(slots=True)
class Done:
    """What one process did, and the deviations that it saw."""

    role: str
    counts: Counter[str]
    deviations: list[str]


@dataclass(frozen=True, slots=True)
class Turn:
    """Shared by the processes: the duration, the signals to begin and to stop, and the queue of results."""

    seconds: float
    ready: Any
    stop: Any
    results: Any


def rows_of(table: str, days: list[date], generation: int) -> pa.Table:
    """Rows of whole days that contain the generation in which they were written."""
    count = ROWS_OF_A_DAY[table]
    dt = pa.array([day for day in days for _ in range(count)], pa.date32())
    values = pa.array(np.full(len(dt), generation), pa.int64())
    if table == "label_arrivals":
        names = ("label", "invalid", "duplicate", "conflict", "matched", "unmatched")
        return pa.table({"dt": dt, **{f"{name}_count": values for name in names}})
    key = {name: pa.array([text] * len(dt)) for name, text in (("model_id", "m"), ("deployment", "production"))}
    versions = pa.array([f"v{number}" for _ in days for number in range(count)])
    rates = pa.array(np.ones(len(dt)))
    return pa.table(
        {"dt": dt, **key, "model_version": versions, "sampling_rate": rates}
        | {"prediction_count": values, "sampled_count": values}
    )


def write(settings: Settings, turn: Turn, seed: int, done: Done) -> None:
    """Replace a few days at a time with rows of a new generation."""
    generator = np.random.default_rng(seed)
    context = new_context(settings, f"writer {seed}")
    with Warehouse.open(settings) as warehouse:
        while not turn.stop.is_set():
            first = int(generator.integers(DAY_COUNT))
            days = [FIRST_DAY + timedelta(days=n) for n in range(first, min(first + 4, DAY_COUNT))]
            generation = time.time_ns()
            changes = [Replacement(table, rows_of(table, days, generation), days) for table in ROWS_OF_A_DAY]
            runs = [PartitionRun(day, "profiles", "complete", generation) for day in days]
            warehouse.replace_partitions(changes, runs, context=context)
            done.counts["commits"] += 1


def read(settings: Settings, turn: Turn, seed: int, done: Done) -> None:
    """Check all days, and a single one, again and again, sometimes from a new connection."""
    generator = np.random.default_rng(seed)
    while not turn.stop.is_set():
        with Warehouse.open(settings, read_only=True) as warehouse:
            for _ in range(50):
                if turn.stop.is_set() and done.counts["reads"]:
                    break
                for table, expected in ROWS_OF_A_DAY.items():
                    value = "sampled_count" if table == "sampling_rates" else "matched_count"
                    day = FIRST_DAY + timedelta(days=int(generator.integers(DAY_COUNT)))
                    query = f"select dt, count(*), count(distinct {value}) from {table}"
                    found = warehouse.connection.execute(f"{query} group by dt").fetchall()
                    found += warehouse.connection.execute(f"{query} where dt = ? group by dt", [day]).fetchall()
                    done.counts["reads"] += 2
                    if len(found) != DAY_COUNT + 1:
                        done.deviations.append(f"{table}: {len(found) - 1} days")
                    done.deviations += [f"{table}: {row}" for row in found if row[1:] != (expected, 1)]


def maintain_again(settings: Settings, turn: Turn, _seed: int, done: Done) -> None:
    """Run maintenance without a pause, until the time is over and something was compacted."""
    until = time.time() + turn.seconds
    while time.time() < until or not done.counts["compactions"]:
        with Warehouse.open(settings) as warehouse:
            upkeep = maintain(warehouse, settings, now=datetime.now(UTC))
        done.counts["maintenance runs"] += 1
        done.counts["compactions"] += upkeep.compacted_table_count


def final_state(settings: Settings) -> list[str]:
    """Check that every day has the rows of its newest commit."""
    deviations = []
    with Warehouse.open(settings, read_only=True) as warehouse:
        for table, count in ROWS_OF_A_DAY.items():
            value = "sampled_count" if table == "sampling_rates" else "matched_count"
            deviations += warehouse.sql(
                f"select dt, count(*) as rows, min({value}) as oldest, any_value(row_count) as newest from {table}"
                f" join current_runs using (dt) group by dt"
                f" having count(*) <> {count} or min({value}) <> newest or max({value}) <> newest"
            ).to_pylist()
    return [f"at the end: {row}" for row in deviations]


@contextmanager
def warehouse_settings(folder: Path, catalog: str) -> Iterator[Settings]:
    """A new project without models, on SQLite or on a PostgreSQL that ends with the block."""
    path = folder / "driftlake.yaml"
    content = "telemetry: {path: telemetry}\nlineage: {path: lineage}\nstart: 2026-01-01\ncompute: {threads: 1}\n"
    if catalog == "postgres":
        with Server.started(folder / "postgres") as server:
            server.empty()
            path.write_text(f"{content}warehouse: {{catalog: '{server.address}'}}\n")
            yield load_settings(path)
    else:
        path.write_text(content)
        yield load_settings(path)


def work(role: Callable[..., None], config: Path, turn: Turn, seed: int) -> None:
    """Run one process to its end and report its failure; all begin together after their imports."""
    done = Done(f"{role.__name__} {seed}", Counter(), [])
    turn.ready.wait()
    try:
        role(load_settings(config), turn, seed, done)
    except Exception:  # noqa: BLE001  # every failure is what is looked for
        done.deviations.append(traceback.format_exc())
    finally:
        if role is maintain_again:
            turn.stop.set()
        turn.results.put(done)


def torture(settings: Settings, config: Path, seconds: float, seed: int) -> list[Done]:
    """Run all processes for some seconds, then check the warehouse."""
    with Warehouse.open(settings) as warehouse:
        days = [FIRST_DAY + timedelta(days=n) for n in range(DAY_COUNT)]
        changes = [Replacement(table, rows_of(table, days, 0), days) for table in ROWS_OF_A_DAY]
        runs = [PartitionRun(day, "profiles", "complete", 0) for day in days]
        warehouse.replace_partitions(changes, runs, context=new_context(settings, "first"))
    processes = multiprocessing.get_context("spawn")
    roles = [*[write] * WRITERS, *[read] * READERS, maintain_again]
    turn = Turn(seconds, processes.Barrier(len(roles)), processes.Event(), processes.Queue())
    started = [
        processes.Process(target=work, args=(role, config, turn, seed * 100 + number))
        for number, role in enumerate(roles)
    ]
    for process in started:
        process.start()
    done = [turn.results.get() for _ in started]
    for process in started:
        process.join()
    return [*done, Done("final state", Counter(days=DAY_COUNT), final_state(settings))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--catalog", choices=("sqlite", "postgres"), default="sqlite")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, warehouse_settings(Path(folder), arguments.catalog) as settings:
        done = torture(settings, Path(folder) / "driftlake.yaml", arguments.seconds, arguments.seed)
    totals: Counter[str] = sum((each.counts for each in done), Counter())
    deviations = [f"{each.role}: {text}" for each in done for text in each.deviations]
    print(", ".join(f"{count:,} {name}" for name, count in sorted(totals.items())))
    print(f"{len(deviations)} deviations", *deviations[:20], sep="\n")
    save(
        f"torture_{arguments.catalog}",
        {**vars(arguments), **environment(), "totals": dict(totals), "deviations": deviations},
    )
    sys.exit(bool(deviations))


if __name__ == "__main__":
    main()
