"""Runs commands in separate processes and measures their time and memory."""

from __future__ import annotations

import json
import multiprocessing
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

PYTHON = sys.executable
ROOT = Path(__file__).resolve().parent.parent
RESULTS = Path(__file__).parent / "results"

# Time inside a process, without imports; the warm-up before it loads them and fills the file cache.
CLOCK = """
import time
def clock(work, warm=None):
    (warm or work)()
    started, cpu_started = time.perf_counter(), time.process_time()
    work()
    print(time.perf_counter() - started, time.process_time() - cpu_started)
"""


@dataclass(frozen=True, slots=True)
class Measurement:
    """Wall time, time of all threads on a processor, and peak memory of one process."""

    name: str
    seconds: float
    peak_mb: float
    cpu_seconds: float


def run(name: str, command: Sequence[str], *, env: Mapping[str, str] | None = None) -> tuple[Measurement, str]:
    """Run a command to its end; also returns what it printed. Raises CalledProcessError with its output if it fails."""
    started = time.perf_counter()
    process = subprocess.Popen(
        command, env={**os.environ, **(env or {})}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert process.stdout is not None
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    if status:
        raise subprocess.CalledProcessError(status, command, output)
    return Measurement(name, seconds, usage.ru_maxrss / 1024, usage.ru_utime + usage.ru_stime), output.decode()


def clocked(name: str, code: str, *arguments: str) -> Measurement:
    """Run code in a separate process; measures the work that the code passes to `clock`."""
    measurement, output = run(name, [PYTHON, "-c", CLOCK + code, *arguments], env={"PYTHONPATH": str(ROOT)})
    seconds, cpu_seconds = (float(word) for word in output.split()[-2:])
    return Measurement(name, seconds, measurement.peak_mb, cpu_seconds)


def apart(work: Callable[..., object], *arguments: object) -> None:
    """Run preparations in a separate process, because a measured process would inherit our peak of memory."""
    process = multiprocessing.get_context("spawn").Process(target=work, args=arguments)
    process.start()
    process.join()
    if process.exitcode:
        raise RuntimeError(f"{work.__name__} failed")


def best_of(count: int, measurements: Sequence[Measurement]) -> Measurement:
    """The fastest of `count` runs; the others waited for other processes."""
    assert len(measurements) == count
    return min(measurements, key=lambda measurement: measurement.seconds)


def environment() -> dict[str, str]:
    """The environment on which the figures depend."""
    packages = ("dagster", "duckdb", "great-expectations", "pyarrow", "boost-histogram")
    return {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "python": platform.python_version(),
        **{package: version(package) for package in packages},
    }


def save(name: str, content: Mapping[str, object]) -> Path:
    """Write a result as JSON."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(content, indent=2, default=asdict) + "\n")
    return path
