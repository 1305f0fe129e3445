"""Claim: after any fault during nightly runs, running the same commands again gives the tables of a run without faults.

`python -m bench.crashes [--seed 1] [--catalog postgres] [--engine spark] [--seconds 300] [--fault NAME]` runs rounds. In a
round, commands overlap (backfills, nightly runs, the sensor of late files, queries, pages, maintenance, backups) while one
fault is injected: processes are killed, disks are full or read-only, input files are replaced. Every fault has one round.
With `--seconds`, new rounds start until that time is over, even if some faults have had none.

After a round, the fault is removed, the backup is restored and verified, and every command runs again. Then all tables,
files, locks and Dagster runs are checked. With Spark, a round processes one day while its Java process or a Python worker
is killed. The program prints the commands that ran, what each fault did, which faults had no round, and the losses. The
exit code is 1 if anything was lost.
"""

from __future__ import annotations

import argparse
import ctypes
import multiprocessing
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import partial
from itertools import count
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import alembic.command
import dagster as dg
import duckdb_engine
import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from filelock import FileLock, Timeout

from bench.broken_machine import Disk, changed_files, clock_to_preload, disks, parts_of, unwound_by_signals
from bench.broken_postgres import Server
from bench.measure import environment, save
from driftlake.cli import main as driftlake
from driftlake.config import Settings, SparkSettings, load_settings
from driftlake.contract import gx_session
from driftlake.engines import cluster, local
from driftlake.errors import DriftlakeError, EngineError
from driftlake.inputs.partitions import days_between
from driftlake.lake import schema
from driftlake.lake.backup import restore
from driftlake.lake.catalog import catalog_of
from driftlake.lake.maintenance import maintain
from driftlake.lake.verification import verify
from driftlake.lake.warehouse import Warehouse
from driftlake.report import summary
from driftlake.report.pages import clean
from jobs.abandoned import UNFINISHED
from jobs.definitions import build_definitions
from jobs.launch import launch, prepare_instance
from jobs.nightly import RANGE_END, RANGE_START
from jobs.sensors import late_files_sensor

# The clocks change on the second day.
FIRST_DAY, DAY_COUNT, ROWS = date(2024, 3, 30), 3, 200
DAYS = [FIRST_DAY + timedelta(days=number) for number in range(DAY_COUNT)]
ZONE = "Europe/Berlin"
SENSOR = "sensor"
# Tables whose rows say who wrote them and when.
_RECORDS = {"partition_runs", "schema_versions", "training_runs"}
_INPUT_FILES = "(select dt, source, path, content_fingerprint, outcome, reason from current_input_files)"
# A command explains a fault in a sentence; it never prints one of these.
_FORBIDDEN_OUTPUT = ("Traceback", "unexpected: ", "INSERT INTO")
# A command that takes longer is reported as hanging.
_LONGEST_SECONDS = 900.0
# Longer than every grace period of maintenance.
_LATER = timedelta(days=10)
_TICK_SECONDS = 0.05
_SPARK = {
    "master": "local[2]",
    "conf": {
        "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
        "spark.sql.codegen.wholeStage": "false",
        "spark.sql.adaptive.enabled": "false",
        "spark.sql.shuffle.partitions": "4",
    },
}
# Text in the command lines of the processes that Spark starts.
_PARTS_OF_SPARK = {"Java": "org.apache.spark.deploy.SparkSubmit", "a Python worker": "pyspark.daemon"}
_SECONDS_OF_SPARK = 4.0

# Imported once and inherited by all processes, together with the modules that commands import only when they need them.
gx_session._import_great_expectations()  # noqa: SLF001
_LOADED = (alembic.command, duckdb_engine, local, summary)


@dataclass(slots=True)
class Outcome:
    """The commands that ran, the faults that were injected, and what was lost."""

    load: Counter[str] = field(default_factory=Counter)
    # rounds by fault, in the order of the faults
    rounds: dict[str, int] = field(default_factory=dict)
    # commands that ran under each fault, and how many of them were killed or failed
    commands: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    kill_count: int = 0
    losses: list[str] = field(default_factory=list)

    @property
    def round_count(self) -> int:
        return sum(self.rounds.values())

    @property
    def without_round(self) -> list[str]:
        return [name for name, rounds in self.rounds.items() if not rounds]

    @property
    def without_effect(self) -> list[str]:
        return [name for name, rounds in self.rounds.items() if rounds and not self.failures[name]]


@dataclass(frozen=True, slots=True)
class Command:
    """A driftlake command, or an evaluation of the sensor with the runs that it requests."""

    arguments: Sequence[str]
    # seconds by which its clock is wrong, and the size of the largest file that it may write
    clock_seconds: int = 0
    file_bytes: int | None = None

    @property
    def name(self) -> str:
        return self.arguments[0]


@dataclass(slots=True)
class Running:
    """A command that runs in its own process group, and the log of its output."""

    command: Command
    process: ForkServerProcess
    log: Path
    kill_at: float | None
    was_killed: bool = False

    def poll(self, now: float) -> None:
        if self.kill_at is not None and now >= self.kill_at and self.process.is_alive():
            self.kill()

    def kill(self) -> None:
        self.was_killed = True
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid or 0, signal.SIGKILL)

    def losses(self, *, is_faulty: bool) -> Iterator[str]:
        """What is wrong with the output or the exit code; `is_faulty` says whether the command ran under a fault."""
        output = self.log.read_text(errors="replace") if self.log.exists() else ""
        summary_line = f"{' '.join(self.command.arguments)} ended with {self.process.exitcode}: {output[-2000:]}"
        # Dagster prints a traceback if the sensor fails
        is_printed_by_dagster = is_faulty and self.command.name == SENSOR
        is_unexplained = any(words in output for words in _FORBIDDEN_OUTPUT) or self.process.exitcode == 3
        if is_unexplained and not is_printed_by_dagster:
            yield f"unexplained failure: {summary_line}"
        elif not is_faulty and self.process.exitcode != 0:
            yield f"failure without a fault: {summary_line}"


class Site:
    """A project whose folders are on small disks, and the processes that work in it."""

    def __init__(
        self, root: Path, made_disks: Sequence[Disk], clock: Path | None, server: Server | None, engine: str
    ) -> None:
        self.root, self.disks, self.has_clock, self.server = root, made_disks, clock is not None, server
        self.settings = _write_project(root, server.address if server else "sqlite:catalog/catalog.sqlite", engine)
        self.empty()
        self._processes = multiprocessing.get_context("forkserver")
        self._processes.set_forkserver_preload(["bench.crashes"])
        if clock:
            os.environ["LD_PRELOAD"] = str(clock)
        self._started: list[Running] = []

    @property
    def backup(self) -> Path:
        return self.root.parent / "backup"

    @property
    def inputs(self) -> list[Path]:
        return sorted([*self.root.glob("telemetry/*/*.parquet"), *self.root.glob("labels/*/*.parquet")])

    def start(self, command: Command, *, kill_at: float | None = None) -> Running:
        log = self.root.parent / "logs" / f"{len(self._started):04}-{command.name}.log"
        log.parent.mkdir(exist_ok=True)
        process = self._processes.Process(target=_work, args=(self.root, command, log))
        process.start()
        self._started.append(Running(command, process, log, kill_at))
        return self._started[-1]

    def parts(self, words: str) -> list[psutil.Process]:
        """Processes that the last command started and whose command lines contain `words`."""
        return parts_of(self._started[-1].process.pid or 0, words)

    def run(self, command: Command) -> Running:
        running = self.start(command)
        _await([running])
        return running

    def end(self) -> None:
        """Kill the commands that are still running."""
        for running in self._started:
            if running.process.is_alive():
                running.kill()
                running.process.join()

    def keep_copy(self, round_number: int) -> None:
        """Copy the project after a round, for a later look."""
        shutil.copytree(self.root, self.root.parent / f"lost-{round_number}", symlinks=True)

    def empty(self) -> None:
        """Remove everything that driftlake has written."""
        for place in ("catalog", "data", "reports", ".dagster"):
            for path in (self.root / place).glob("*"):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        shutil.rmtree(self.backup, ignore_errors=True)
        if self.server:
            self.server.empty()

    def contents(self) -> dict[str, list[str]]:
        """Every row of every result table; of input_files, the current files without run and time."""
        names = [table.name for table in schema.tables() if table.name not in _RECORDS]
        with Warehouse.open(self.settings, read_only=True) as warehouse, warehouse.one_snapshot():
            queries = {name: f"from {_INPUT_FILES if name == 'input_files' else name}" for name in names}
            return {
                name: sorted(map(repr, warehouse.connection.execute(query).fetchall()))
                for name, query in queries.items()
            }

    def pages(self) -> set[str]:
        reports = self.root / "reports"
        return {str(path.relative_to(reports)) for path in reports.rglob("*") if path.is_file()}


def crash(
    folder: Path,
    *,
    seed: int,
    seconds: float | None = None,
    catalog: str = "sqlite",
    engine: str = "duckdb",
    fault: Sequence[str] = (),
) -> Outcome:
    """Run a round for every fault, or rounds until `seconds` are over; if `fault` has names, only those faults."""
    outcome = Outcome()
    is_on_spark = engine == "spark"
    with _site(folder, catalog, engine) as site:
        quiet = _quiet(site, outcome, _backfill(0, 0 if is_on_spark else DAY_COUNT - 1))
        every = _faults_of_spark(site) if is_on_spark else _faults(site, quiet.seconds)
        outcome.rounds = {each.name: 0 for each in every}
        until = None if seconds is None else time.monotonic() + seconds
        # a round with a given number is the same whichever other rounds are left out
        for number, each in _in_turn(every, seed, is_endless=until is not None):
            if until is not None and time.monotonic() >= until:
                break
            if not each.is_possible or (fault and each.name not in fault):
                continue
            generator = np.random.default_rng([seed, number])
            lost_before = len(outcome.losses)
            if is_on_spark:
                _spark_round(site, quiet, each, generator, outcome)
            else:
                _round(site, quiet, each, generator, outcome)
            if len(outcome.losses) > lost_before:
                site.keep_copy(number)
    return outcome


def crash_once(folder: Path, *, seed: int) -> Outcome:
    """Kill a backfill of two days, and run the same command again."""
    outcome, generator = Outcome(), np.random.default_rng(seed)
    command = _backfill(0, 1)
    with _site(folder) as site:
        quiet = _quiet(site, outcome, command)
        kill_after = float(generator.uniform(0.05, 0.6)) * quiet.seconds
        _try(site, quiet, outcome, _Fault("kills", _nothing), generator, [(command, kill_after)], [command])
    return outcome


@contextmanager
def _site(folder: Path, catalog: str = "sqlite", engine: str = "duckdb") -> Iterator[Site]:
    root = folder / "project"
    places = [root / name for name in ("data", "reports", ".dagster")]
    of_catalog = folder / "postgres" if catalog == "postgres" else root / "catalog"
    with ExitStack() as stack:
        made_disks = stack.enter_context(disks([of_catalog, *places]))
        # a separate folder, because the server removes its data folder at the end
        server = stack.enter_context(Server.started(of_catalog / "server")) if catalog == "postgres" else None
        stack.callback(os.environ.pop, "LD_PRELOAD", None)
        site = Site(root, made_disks, clock_to_preload(folder), server, engine)
        stack.callback(site.end)
        yield site


@dataclass(frozen=True, slots=True)
class _Quiet:
    """The tables and pages after a run without faults, and how long it takes."""

    contents: Mapping[str, Sequence[str]]
    pages: set[str]
    seconds: float


def _quiet(site: Site, outcome: Outcome, command: Command) -> _Quiet:
    # the first process imports the modules that the others inherit
    site.run(Command(["--version"]))
    begun = time.monotonic()
    outcome.losses += site.run(command).losses(is_faulty=False)
    quiet = _Quiet(site.contents(), site.pages(), time.monotonic() - begun)
    site.empty()
    return quiet


def _round(site: Site, quiet: _Quiet, fault: _Fault, generator: np.random.Generator, outcome: Outcome) -> None:
    """Run several commands under a fault; the generator chooses the commands and when they are killed."""
    is_new = not outcome.round_count or bool(outcome.losses) or generator.random() < 0.5
    if is_new:
        site.empty()
    share = 1.0 if fault.name == "kills" else float(generator.choice([0, 0.6]))
    load = [
        (
            fault.on(command, generator),
            float(generator.uniform(0, 1.5)) * quiet.seconds if generator.random() < share else None,
        )
        for command in _load(generator, is_forced=not is_new, can_back_up=site.server is None)
    ]
    every_day = _backfill(0, DAY_COUNT - 1)
    again = [Command(command.arguments) for command, _ in load if command.name != SENSOR]
    again = [command for command in again if command.arguments != every_day.arguments]
    # then the sensor runs, and a backfill of all days, some of which no command has asked for yet
    _try(site, quiet, outcome, fault, generator, load, [*again, Command([SENSOR]), every_day])


def _spark_round(site: Site, quiet: _Quiet, fault: _Fault, generator: np.random.Generator, outcome: Outcome) -> None:
    """Process one day on Spark while one of its processes is killed."""
    site.empty()
    command = _backfill(0, 0)
    _try(site, quiet, outcome, fault, generator, [(command, None)], [command])


def _try(
    site: Site,
    quiet: _Quiet,
    outcome: Outcome,
    fault: _Fault,
    generator: np.random.Generator,
    load: Sequence[tuple[Command, float | None]],
    again: Sequence[Command],
) -> None:
    """Run commands under a fault, then `again` one after the other without it, and check everything.

    `load` has each command with the seconds after which it is killed, if it is.
    """
    outcome.rounds[fault.name] = outcome.rounds.get(fault.name, 0) + 1
    losses: list[str] = []
    with fault.present(generator) as touch:
        begun = time.monotonic()
        running = [site.start(command, kill_at=None if after is None else begun + after) for command, after in load]
        losses += _await(running, touch)
    outcome.load.update(f"{each.command.name} under faults" for each in running)
    outcome.kill_count += sum(each.was_killed for each in running)
    outcome.commands[fault.name] += len(running)
    outcome.failures[fault.name] += sum(each.process.exitcode != 0 for each in running)
    losses += [loss for each in running for loss in each.losses(is_faulty=True)]
    has_backup = any(each.command.name == "backup" and each.process.exitcode == 0 for each in running)
    losses += _unrestored(site, outcome, is_expected=has_backup)
    failed: list[str] = []
    for command in again:
        outcome.load[f"{command.name} again"] += 1
        failed += site.run(command).losses(is_faulty=False)
    losses += failed or _left(site, quiet)
    outcome.losses += [f"round {outcome.round_count}, {fault.name}: {loss}" for loss in losses]


def _backfill(first: int, last: int, *more: str) -> Command:
    return Command(["backfill", "--from", str(DAYS[first]), "--to", str(DAYS[last]), *more])


def _load(generator: np.random.Generator, *, is_forced: bool, can_back_up: bool) -> list[Command]:
    """Two writers that overlap, a backup, and two other commands."""
    force = ["--force"] if is_forced else []
    middle = int(generator.integers(1, DAY_COUNT - 1))
    writers = [
        _backfill(0, middle, *force),
        _backfill(max(middle - 1, 0), DAY_COUNT - 1, *force),
        Command(["run", "--date", str(DAYS[int(generator.integers(DAY_COUNT))]), *force]),
        Command([SENSOR]),
    ]
    others = [Command(["maintain"]), Command(["verify"])]
    readers = [Command(["report", "--date", str(DAYS[0])]), Command(["sql", "from latest_drift"]), Command(["verdict"])]
    chosen = [writers[n] for n in sorted(generator.choice(4, size=2, replace=False))]
    if can_back_up:
        chosen.append(Command(["backup", "../backup"]))
    # in a new project there is nothing yet to read or maintain, and these commands rightly fail
    rest = [*others, *readers] if is_forced else []
    return chosen + [rest[n] for n in sorted(generator.choice(len(rest), size=min(len(rest), 2), replace=False))]


# Called repeatedly while a fault is present.
Touch = Callable[[], None]
Present = Callable[[np.random.Generator], AbstractContextManager[Touch]]


@dataclass(frozen=True, slots=True)
class _Fault:
    """A kind of fault: how it is injected, and how it changes commands."""

    name: str
    present: Present
    on: Callable[[Command, np.random.Generator], Command] = lambda command, _: command
    # whether it can be injected on this machine
    is_possible: bool = True


def _faults(site: Site, night_seconds: float) -> list[_Fault]:
    """All faults: first those of the PostgreSQL server and full disks, then the others."""
    faults: list[_Fault] = []
    if site.server:
        faults.append(_Fault("PostgreSQL is killed", site.server.killed))
        faults.append(_Fault("connections are lost", site.server.disconnected))
    for disk in site.disks:
        is_of_server = site.server is not None and disk.place == site.server.folder.parent
        full = partial(site.server.starved, disk) if site.server and is_of_server else disk.full
        faults.append(
            _Fault(f"{disk.place.name} is full", partial(_for_a_while, full, night_seconds), is_possible=disk.is_own)
        )
    faults.append(_Fault("kills", _nothing))
    faults.append(_Fault("inputs change", partial(_changing, site)))
    faults.append(_Fault("files are limited", _nothing, _limited))
    faults += [
        _Fault(
            f"{disk.place.name} is read-only",
            partial(_for_a_while, disk.read_only, night_seconds),
            is_possible=disk.is_own,
        )
        for disk in site.disks
        if disk.place.parent == site.root
    ]
    faults.append(_Fault("clocks are wrong", _nothing, _moved, is_possible=site.has_clock))
    return faults


def _faults_of_spark(site: Site) -> list[_Fault]:
    return [_Fault(f"{name} is killed", partial(_without_part, site, words)) for name, words in _PARTS_OF_SPARK.items()]


def _in_turn(faults: Sequence[_Fault], seed: int, *, is_endless: bool) -> Iterator[tuple[int, _Fault]]:
    """Number and fault of each round: every fault once in the given order and then, if endless, repeatedly in random orders."""
    numbers = count(1)
    yield from zip(numbers, faults, strict=False)
    generator = np.random.default_rng(seed)
    while is_endless:
        yield from zip(numbers, (faults[n] for n in generator.permutation(len(faults))), strict=False)


def _limited(command: Command, generator: np.random.Generator) -> Command:
    return Command(command.arguments, file_bytes=int(generator.integers(1_000, 2_000_000)))


def _moved(command: Command, generator: np.random.Generator) -> Command:
    return Command(command.arguments, clock_seconds=int(generator.integers(-30 * 3600, 30 * 3600)))


@contextmanager
def _nothing(_: np.random.Generator) -> Iterator[Touch]:
    yield lambda: None


@contextmanager
def _changing(site: Site, generator: np.random.Generator) -> Iterator[Touch]:
    with changed_files(site.inputs, generator) as change:
        yield lambda: change() if generator.random() < 0.1 else None


@contextmanager
def _without_part(site: Site, words: str, generator: np.random.Generator) -> Iterator[Touch]:
    """Kill a process of Spark once, soon after the first task has started."""
    kill_at: float | None = None

    def touch() -> None:
        nonlocal kill_at
        if kill_at == float("inf") or not site.parts(_PARTS_OF_SPARK["a Python worker"]):
            return
        kill_at = kill_at or time.monotonic() + float(generator.uniform(0, _SECONDS_OF_SPARK))
        if time.monotonic() >= kill_at:
            kill_at = float("inf")
            for part in site.parts(words):
                with suppress(psutil.NoSuchProcess):
                    part.kill()

    yield touch


@contextmanager
def _for_a_while(
    fault: Callable[[], AbstractContextManager[None]], night_seconds: float, generator: np.random.Generator
) -> Iterator[Touch]:
    """Inject the fault at once, or at a random moment within the duration of a run without faults; it stays until the block ends."""
    begin = time.monotonic() + float(generator.choice([0, generator.uniform(0, night_seconds)]))
    with ExitStack() as stack:

        def touch() -> None:
            nonlocal begin
            if time.monotonic() >= begin:
                # a busy disk cannot be remounted: the next call tries again
                with suppress(BlockingIOError):
                    stack.enter_context(fault())
                    begin = float("inf")

        yield touch


def _await(running: Sequence[Running], touch: Touch = lambda: None) -> list[str]:
    """Wait for all commands, kill those that are due, and call `touch` meanwhile. Returns the commands that hang."""
    begun, losses = time.monotonic(), []
    while any(each.process.is_alive() for each in running):
        now = time.monotonic()
        touch()
        for each in running:
            each.poll(now)
            if now - begun > _LONGEST_SECONDS and each.process.is_alive():
                losses.append(f"hangs: {' '.join(each.command.arguments)}")
                each.kill()
        time.sleep(_TICK_SECONDS)
    return losses


def _unrestored(site: Site, outcome: Outcome, *, is_expected: bool) -> Iterator[str]:
    """Restore the backup, if there is one, in another folder, and yield what is wrong with the restored warehouse."""
    project = site.root.parent / "restored"
    project.mkdir()
    shutil.copy(site.root / "driftlake.yaml", project)
    settings = load_settings(project / "driftlake.yaml")
    try:
        if site.server is None and (is_expected or (site.backup / "catalog.sqlite").exists()):
            restore(settings, site.backup)
            with Warehouse.open(settings) as warehouse:
                yield from (f"restored: {deviation.sentence}" for deviation in verify(warehouse))
            outcome.load["restore verified"] += 1
    except DriftlakeError as error:
        yield f"not restored: {error}"
    finally:
        shutil.rmtree(project)


def _left(site: Site, quiet: _Quiet) -> Iterator[str]:
    """Differences from a run without faults, and leftover files, locks and runs."""
    found = site.contents()
    for table, rows in quiet.contents.items():
        if found[table] != rows:
            missing = Counter(rows) - Counter(found[table])
            extra = Counter(found[table]) - Counter(rows)
            yield (
                f"table {table}: {missing.total()} rows missing, {extra.total()} too many;"
                f" missing e.g. {[*missing][:2]}, extra e.g. {[*extra][:2]}"
            )
    with Warehouse.open(site.settings) as warehouse:
        yield from (f"verify: {deviation.sentence}" for deviation in verify(warehouse))
        for _ in range(2):
            later = datetime.now(UTC) + _LATER
            maintain(warehouse, site.settings, now=later)
            clean(warehouse, site.settings, now=later)
        named = {name for (name,) in warehouse.connection.execute(_NAMED_FILES).fetchall()}
    stored = {path.name for path in (site.root / "data").rglob("*") if path.is_file()}
    if stored - named:
        yield f"files that belong to no snapshot: {sorted(stored - named)}"
    if named - stored:
        yield f"missing files: {sorted(named - stored)}"
    pages = site.pages()
    days = {day.isoformat() for day in DAYS}
    extra = {page for page in pages - quiet.pages if not (Path(page).name[:10] in days and page.endswith(".html"))}
    # a run writes Data Docs of the last day that it computes, and which day that is depends on the days already computed
    missing = {page for page in quiet.pages - pages if not page.startswith("data_docs/")}
    if extra or missing:
        yield f"pages: {sorted(extra)} too many, {sorted(missing)} missing"
    if site.contents() != found:
        yield "maintenance changed rows"
    yield from _held(site)


_NAMED_FILES = """
    select parse_filename(path) from __ducklake_metadata_lake.ducklake_data_file
    union all select parse_filename(path) from __ducklake_metadata_lake.ducklake_delete_file
    union all select parse_filename(path) from __ducklake_metadata_lake.ducklake_files_scheduled_for_deletion
"""


def _held(site: Site) -> Iterator[str]:
    """Locks that are still held, and Dagster runs whose status is still unfinished."""
    catalog = None if site.server else Path(catalog_of(site.settings).place)
    for lock in (site.root / ".dagster" / "instance.lock", *([Path(f"{catalog}.lock")] if catalog else [])):
        try:
            with FileLock(lock, timeout=0):
                pass
        except Timeout:
            yield f"lock {lock.name} is still held"
    if left := sorted((site.root / ".dagster" / "running").glob("*")):
        yield f"lock files of runs are left: {[path.name for path in left]}"
    os.environ["DAGSTER_HOME"] = str(site.root / ".dagster")
    with dg.DagsterInstance.get() as instance:
        for run in instance.get_runs(dg.RunsFilter(statuses=list(UNFINISHED))):
            yield f"run {run.run_id} still has the status {run.status.value}"
    if site.server:
        yield from site.server.held()
    names = {"catalog.sqlite", "catalog.sqlite-wal", "catalog.sqlite-shm", "catalog.sqlite.lock"}
    if catalog and (extra := {path.name for path in catalog.parent.iterdir()} - names):
        yield f"extra files in the folder of the catalog: {sorted(extra)}"


def _work(root: Path, command: Command, log: Path) -> None:
    """Run a command in this process, with its own output file, clock and limits."""
    os.setpgid(0, 0)
    file = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(file, stream)
    os.environ.pop("DAGSTER_HOME", None)
    if command.clock_seconds:
        ctypes.CDLL(None).move_clock(ctypes.c_long(command.clock_seconds))
    if command.file_bytes:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (command.file_bytes, command.file_bytes))
    os.chdir(root)
    if command.name == SENSOR:
        _tick()
    else:
        sys.argv = ["driftlake", *command.arguments]
        driftlake()


def _tick() -> None:
    """Evaluate the sensor once, and run what it requests."""
    settings = load_settings(None, require_inputs=True)
    home = prepare_instance(settings)
    with FileLock(home / "instance.lock"):
        instance = dg.DagsterInstance.get()
    with instance:
        context = dg.build_sensor_context(
            instance=instance, repository_def=build_definitions(settings).get_repository_def()
        )
        tick = late_files_sensor(settings).evaluate_tick(context)
    for request in tick.run_requests or ():
        days = [
            request.tags.get(RANGE_START) or request.partition_key,
            request.tags.get(RANGE_END) or request.partition_key,
        ]
        first, last = (date.fromisoformat(str(day)) for day in days)
        if failure := launch(settings, days_between(first, last), lambda *_: None):
            print(failure.message)
            sys.exit(2)


def _write_project(root: Path, catalog: str, engine: str) -> Settings:
    """Write a project with predictions of one model, whose labels arrive a day later."""
    generator = np.random.default_rng(1)
    training = {"x": generator.normal(size=1000), "colour": generator.choice(["red", "blue"], 1000)}
    (root / "lineage").mkdir(parents=True)
    pq.write_table(pa.table(training | {"score": generator.random(1000)}), root / "training.parquet")
    lineage = {
        "model_id": "credit",
        "model_version": "v1",
        "training_run_id": "run-1",
        "training_dataset_id": "data-1",
        "training_data": "../training.parquet",
        "score": "score",
        "features": ["x", "colour"],
        "label_delay": {"p50_days": 1, "p95_days": 2, "max_days": 3},
        "baseline": {"auc": 0.9},
    }
    (root / "lineage" / "credit-v1.yaml").write_text(yaml.safe_dump(lineage))
    for number, day in enumerate(DAYS):
        ids = [f"{day}-{row}" for row in range(ROWS)]
        at = [datetime.combine(day, datetime.min.time(), UTC) + timedelta(minutes=5 * row) for row in range(ROWS)]
        colour = generator.choice(["red", "blue", "green"], ROWS)
        columns: dict[str, Any] = {"correlation_id": ids, "event_time": at, "model_id": ["credit"] * ROWS}
        columns |= {"model_version": ["v1"] * ROWS, "score": generator.random(ROWS)}
        _write(root, "telemetry", day, columns | {"x": generator.normal(number, 1, ROWS), "colour": colour})
        label = generator.integers(0, 2, ROWS)
        _write(root, "labels", day + timedelta(days=1), {"correlation_id": ids, "label": label})
    content = {
        "telemetry": {"path": "telemetry"},
        "labels": {"path": "labels"},
        "lineage": {"path": "lineage"},
        "start": FIRST_DAY,
        "schedule": {"timezone": ZONE, "late_days": 3650},
        "warehouse": {"catalog": catalog, "data": "data"},
        "engine": engine,
        "spark": _SPARK,
        "compute": {"threads": 1, "partitions_per_run": 3},
    }
    (root / "driftlake.yaml").write_text(yaml.safe_dump(content))
    return load_settings(root / "driftlake.yaml")


def _write(root: Path, source: str, day: date, columns: Mapping[str, Any]) -> None:
    place = root / source / f"dt={day}" / "part-0.parquet"
    place.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(dict(columns)), place)


def _report_lines(outcome: Outcome, seed: int) -> Iterator[str]:
    """The lines that are printed at the end."""
    yield "commands: " + ", ".join(f"{times:,} {name}" for name, times in sorted(outcome.load.items()))
    for name, rounds in outcome.rounds.items():
        effect = f", {outcome.failures[name]} of {outcome.commands[name]} commands failed" if rounds else ""
        yield f"fault: {name}: rounds: {rounds}{effect}"
    yield f"killed: {outcome.kill_count} commands"
    yield f"faults without a round: {', '.join(outcome.without_round) or 'none'}"
    yield f"faults under which no command failed: {', '.join(outcome.without_effect) or 'none'}"
    yield f"losses with seed {seed}: {len(outcome.losses)}"
    yield from outcome.losses[:20]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--seconds", type=float, help="start new rounds until this time is over; default: one round for each fault"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--catalog", choices=("sqlite", "postgres"), default="sqlite")
    parser.add_argument("--engine", choices=("duckdb", "spark"), default="duckdb")
    parser.add_argument(
        "--fault", action="append", default=[], help="run only this fault; the name is the one that is printed"
    )
    arguments = parser.parse_args()
    if arguments.engine == "spark":
        try:
            cluster.require(SparkSettings())
        except EngineError as error:
            print(f"faults without a round: {', '.join(_PARTS_OF_SPARK)}: {error.message}")
            return
    folder, outcome = Path(tempfile.mkdtemp()), Outcome()
    try:
        with unwound_by_signals():
            outcome = crash(folder, **vars(arguments))
    finally:
        if not outcome.losses:
            shutil.rmtree(folder, ignore_errors=True)
    print(*_report_lines(outcome, arguments.seed), sep="\n")
    save(
        f"crashes_{arguments.catalog}_{arguments.engine}",
        {
            **vars(arguments),
            **environment(),
            "load": dict(outcome.load),
            "rounds": outcome.rounds,
            "losses": outcome.losses,
        },
    )
    sys.exit(bool(outcome.losses))


if __name__ == "__main__":
    main()
