"""Runs commands in processes of their own and says how long they took and how much memory they needed."""

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

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True, slots=True)
class Measurement:
    """Wall time and peak memory of one process."""

    name: str
    seconds: float
    peak_mb: float


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
    return Measurement(name, seconds, usage.ru_maxrss / 1024), output.decode()


def apart(work: Callable[..., object], *arguments: object) -> None:
    """Do preparations in a process of their own: a measured process would inherit our peak of memory."""
    process = multiprocessing.get_context("spawn").Process(target=work, args=arguments)
    process.start()
    process.join()
    if process.exitcode:
        raise RuntimeError(f"{work.__name__} failed")


def best_of(count: int, measurements: Sequence[Measurement]) -> Measurement:
    """The quickest of `count` runs: the others waited for somebody else."""
    assert len(measurements) == count
    return min(measurements, key=lambda measurement: measurement.seconds)


def environment() -> dict[str, str]:
    """What the figures depend on."""
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


PYTHON = sys.executable
