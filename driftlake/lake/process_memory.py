"""A limit on the memory of a whole process, so that a file that expands to more ends a command and not the machine.

DuckDB keeps to its own limit; Arrow, numpy and Python do not. The limit is one on the addresses of data, because Linux
has none on memory in use: freed memory and the stacks of threads count, so it is looser than `compute.memory_limit`.
Other systems have no such limit. Not here: what is said when memory runs out (`driftlake.lake.faults`).
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from driftlake.config import ComputeSettings, Settings

# DuckDB may use as much as memory_limit says, and what a pass finds about as much again.
_LIMITS_AT_ONCE = 2
_LIBRARIES_BYTES = 2_000_000_000
# Stack and buffers of a thread of DuckDB, Arrow and the library of linear algebra.
_THREAD_BYTES = 64_000_000
_USED = re.compile(r"^VmData:\s+(\d+) kB$", re.MULTILINE)


def bound_memory(settings: Settings) -> None:
    """From here on, refuse the process more memory than a command with these settings can need.

    A cluster of Spark is left alone: its processes inherit the limit, and have limits of their own.
    """
    if settings.engine != "spark":
        bound_to(settings.compute)


def bound_to(compute: ComputeSettings) -> None:
    """The same for a command that needs no configuration, and no cluster."""
    if sys.platform != "linux":
        return
    import resource

    status = _USED.search(Path("/proc/self/status").read_text())
    used = int(status[1]) * 1024 if status else 0
    threads = _THREAD_BYTES * (os.cpu_count() or 1)
    wanted = used + threads + _LIBRARIES_BYTES + int(_LIMITS_AT_ONCE * compute.memory_bytes)
    now, most = resource.getrlimit(resource.RLIMIT_DATA)
    # a process that has a limit already does not get a looser one
    limits = [wanted, *(limit for limit in (now, most) if limit != resource.RLIM_INFINITY)]
    resource.setrlimit(resource.RLIMIT_DATA, (min(limits), most))


@contextmanager
def memory_bounded_within() -> Iterator[None]:
    """After the block, the limit is what it was before."""
    if sys.platform != "linux":
        yield
        return
    import resource

    before = resource.getrlimit(resource.RLIMIT_DATA)
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)
