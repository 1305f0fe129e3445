"""The same day of telemetry through driftlake, Evidently, NannyML, whylogs and popmon: cells per second and memory.

`python -m bench.peers`; prints a table, writes results/peers.json. `--rows` is the size of the day. A peer gets the
number of rows that it processes in about a minute; with `--full` it gets all of them, once. Each peer runs in its own
environment, created on first use in bench/environments.

The timing favours the peers. driftlake reads the Parquet file, profiles two model versions apart, compares three
windows by four statistics and commits all of it. A peer starts from a pandas frame in memory (the time with reading it
is given beside); whylogs and popmon stop at the profile, NannyML has learned from the training sample beforehand.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from json import JSONDecodeError, loads
from pathlib import Path

from bench import wide_day
from bench.measure import PYTHON, apart, environment, run, save
from bench.peer_scripts.protocol import WARM_UP_ROWS
from driftlake.lake.warehouse import Warehouse
from driftlake.lineage.lineage_files import read_lineage_folder
from driftlake.training.registration import register

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = ROOT / "bench" / "peer_scripts"
ENVIRONMENTS = ROOT / "bench" / "environments"
REPEATS = 2
# Rows that take about a minute at most on two cores, rounded so that peers share sizes.
PEER_ROWS = {"evidently": 1_000_000, "whylogs": 1_000_000, "nannyml": 4_000_000, "popmon": 4_000_000}
# Switches off the usage reports of two peers.
QUIET = {"NML_DISABLE_USAGE_LOGGING": "1", "WHYLOGS_NO_ANALYTICS": "1", "DO_NOT_TRACK": "1"}


@dataclass(frozen=True, slots=True)
class Result:
    """The best of a contender's runs on a day of some size."""

    name: str
    version: str
    rows: int
    seconds: float
    reading_seconds: float
    peak_mb: float

    @property
    def seconds_with_reading(self) -> float:
        return self.seconds + self.reading_seconds

    @property
    def cells_per_second(self) -> float:
        return self.rows * (wide_day.NUMERIC + wide_day.TEXT) / self.seconds


@dataclass(frozen=True, slots=True)
class Failure:
    """A contender that could not be installed or run."""

    name: str
    rows: int
    reason: str


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=4_000_000)
    parser.add_argument("--full", action="store_true")
    options = parser.parse_args()
    outcomes = list(_outcomes(options.rows, full=options.full))
    print("\n".join(_table(outcomes)))
    name = "peers_full" if options.full else "peers"
    print(save(name, {"environment": environment(), "outcomes": outcomes}))


def _outcomes(rows: int, *, full: bool) -> Iterator[Result | Failure]:
    sizes = {peer: rows if full else min(rows, size) for peer, size in PEER_ROWS.items()}
    not_installed = {peer: reason for peer in sizes if (reason := _install(peer))}
    for size in sorted({rows, *sizes.values()}):
        peers = [peer for peer in sizes if sizes[peer] == size and peer not in not_installed]
        yield from _compete(["driftlake", *peers], size, repeats=1 if full else REPEATS)
    for peer, reason in not_installed.items():
        yield Failure(peer, sizes[peer], f"not installed: {reason}")


def _install(peer: str) -> str | None:
    """Create the peer's environment unless it exists; returns the reason if that failed."""
    folder, wanted = ENVIRONMENTS / peer, SCRIPTS / f"{peer}.txt"
    installed = folder / "installed.txt"
    if installed.is_file() and installed.read_text() == wanted.read_text():
        return None
    uv = [PYTHON, "-m", "uv"]
    try:
        run("environment", [*uv, "venv", "--quiet", "--clear", "--python", PYTHON, str(folder)])
        run("packages", [*uv, "pip", "sync", "--quiet", "--compile-bytecode", "--python", _python(peer), str(wanted)])
    except subprocess.CalledProcessError as error:
        return _reason(error)
    shutil.copy(wanted, installed)
    return None


def _compete(contenders: Sequence[str], rows: int, *, repeats: int) -> Iterator[Result | Failure]:
    """The contenders' outcomes on a day of `rows` rows, taken in turns."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "project"
        apart(_write, root, rows)
        [day] = (root / "telemetry" / f"dt={wide_day.DAY}").glob("*.parquet")
        turns = [[_measure(name, root, day, rows) for name in contenders] for _ in range(repeats)]
    for outcomes in zip(*turns, strict=True):
        failures = (outcome for outcome in outcomes if isinstance(outcome, Failure))
        yield next(failures, None) or min(_results(outcomes), key=lambda result: result.seconds)


def _results(outcomes: Iterable[Result | Failure]) -> list[Result]:
    return [outcome for outcome in outcomes if isinstance(outcome, Result)]


def _write(root: Path, rows: int) -> None:
    """Write a day of `rows` rows and a warm-up day before it, and register their versions."""
    settings = wide_day.write_project(root)
    wide_day.write_day(settings, WARM_UP_ROWS, day=wide_day.DAY - timedelta(days=1))
    with Warehouse.open(settings) as warehouse:
        register(warehouse, settings, read_lineage_folder(settings))
    wide_day.write_day(settings, rows)


def _measure(name: str, root: Path, day: Path, rows: int) -> Result | Failure:
    script = str(SCRIPTS / f"run_{name}.py")
    if name == "driftlake":
        command, variables = [PYTHON, script, str(root / "driftlake.yaml")], {"PYTHONPATH": str(ROOT)}
    else:
        command, variables = [_python(name), script, str(root / "training.parquet"), str(day)], QUIET
    try:
        measurement, output = run(name, command, env=variables)
        return Result(name, rows=rows, peak_mb=measurement.peak_mb, **loads(output.splitlines()[-1]))
    except subprocess.CalledProcessError as error:
        return Failure(name, rows, _reason(error))
    except (IndexError, JSONDecodeError):
        return Failure(name, rows, "its last line is not the result")


def _python(peer: str) -> str:
    return str(ENVIRONMENTS / peer / "bin" / "python")


def _reason(error: subprocess.CalledProcessError) -> str:
    lines = error.output.decode().strip().splitlines()
    return lines[-1] if lines else f"ended with status {error.returncode}"


def _table(outcomes: Sequence[Result | Failure]) -> Iterator[str]:
    """A line per outcome; the last three columns compare driftlake on a day of the same size."""
    ours = {result.rows: result for result in _results(outcomes) if result.name == "driftlake"}
    yield f"{'':<72} driftlake against it:"
    yield "name       version       rows  seconds  with reading  M cells/s  peak MB    cells/s  with reading   memory"
    for outcome in outcomes:
        if isinstance(outcome, Failure):
            yield f"{outcome.name:<10} {'':<8} {outcome.rows:>9,}  {outcome.reason}"
        else:
            yield _line(outcome) + (_advantage(ours[outcome.rows], outcome) if outcome.rows in ours else "")


def _line(result: Result) -> str:
    return (
        f"{result.name:<10} {result.version:<8} {result.rows:>9,} {result.seconds:8.2f} {result.seconds_with_reading:13.2f}"
        f" {result.cells_per_second / 1e6:10.2f} {result.peak_mb:8.0f}"
    )


def _advantage(ours: Result, peer: Result) -> str:
    return (
        f" {peer.seconds / ours.seconds:9.1f}x {peer.seconds_with_reading / ours.seconds_with_reading:12.1f}x"
        f" {peer.peak_mb / ours.peak_mb:7.1f}x"
    )


if __name__ == "__main__":
    main()
