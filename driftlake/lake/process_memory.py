"""Limits the memory of the whole process: a file that expands to more than the memory ends the command, not the machine.

DuckDB has its own limit; Arrow, numpy and Python have none. Linux cannot limit the memory in use, only the address space
of data (RLIMIT_DATA), which includes freed memory and the stacks of threads. The limit is therefore larger than
`compute.memory_limit`. On other systems, no limit is set. Not here: the message when memory runs out
(`driftlake.lake.faults`).
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from driftlake.config import ComputeSettings, Settings

# DuckDB may use compute.memory_limit, and the results of a pass about as much again.
_LIMITS_AT_ONCE = 2
_LIBRARIES_BYTES = 2_000_000_000
# Stack and buffers of a thread of DuckDB, of Arrow and of the linear algebra library.
_THREAD_BYTES = 64_000_000
_USED = re.compile(r"^VmData:\s+(\d+) kB$", re.MULTILINE)


def bound_memory(settings: Settings) -> None:
    """Limit the memory of the process from now on to what a command with these settings can need.

    With Spark no limit is set, because its processes would inherit it, and they have their own limits.
    """
    if settings.engine != "spark":
        bound_to(settings.compute)


def bound_to(compute: ComputeSettings) -> None:
    """The same for a command without a configuration, which never uses Spark."""
    if sys.platform != "linux":
        return
    import resource

    status = _USED.search(Path("/proc/self/status").read_text())
    used = int(status[1]) * 1024 if status else 0
    threads = _THREAD_BYTES * (os.cpu_count() or 1)
    wanted = used + threads + _LIBRARIES_BYTES + int(_LIMITS_AT_ONCE * compute.memory_bytes)
    now, most = resource.getrlimit(resource.RLIMIT_DATA)
    # an existing limit of the process is never raised
    limits = [wanted, *(limit for limit in (now, most) if limit != resource.RLIM_INFINITY)]
    resource.setrlimit(resource.RLIMIT_DATA, (min(limits), most))


@contextmanager
def memory_bounded_within() -> Iterator[None]:
    """Restore the previous limit after the block."""
    if sys.platform != "linux":
        yield
        return
    import resource

    before = resource.getrlimit(resource.RLIMIT_DATA)
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)
