"""Faults of a machine that a test injects: full and read-only disks, changing input files, a wrong clock, killed processes.

Not here: the commands that run under a fault, and the checks afterwards (`bench.crashes`).
"""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil

_DISK_BYTES = 256_000_000
_FILLER = ".filler"
_PRELOADED = "moved_clock.so"


@dataclass(frozen=True, slots=True)
class Disk:
    """A small disk that is mounted at a folder of the project."""

    place: Path
    # False if no disk could be mounted, and `place` is an ordinary folder
    is_own: bool = True

    @contextmanager
    def full(self) -> Iterator[None]:
        """Within the block, the disk has no free byte."""
        filler = self.place / _FILLER
        with suppress(OSError), filler.open("wb") as file:
            while True:
                file.write(b"x" * 1_000_000)
                file.flush()
        # less than a megabyte is free: fill it in small steps
        with suppress(OSError), filler.open("ab", buffering=0) as file:
            while True:
                file.write(b"x" * 512)
        try:
            yield
        finally:
            filler.unlink()

    @contextmanager
    def read_only(self) -> Iterator[None]:
        """Within the block, nothing can be written. Raises BlockingIOError if a file is open for writing at the start."""
        if not _mount(["-o", "remount,ro", str(self.place)]):
            raise BlockingIOError(errno.EBUSY, os.strerror(errno.EBUSY), str(self.place))
        try:
            yield
        finally:
            _mount(["-o", "remount,rw", str(self.place)])


@contextmanager
def disks(places: Sequence[Path]) -> Iterator[Sequence[Disk]]:
    """A small disk mounted at each of the places, if this user may mount disks."""
    with ExitStack() as mounted:
        made = []
        for place in places:
            place.mkdir(parents=True)
            is_own = sys.platform == "linux" and _mount(
                ["-t", "tmpfs", "-o", f"size={_DISK_BYTES}", "tmpfs", str(place)]
            )
            if is_own:
                mounted.callback(subprocess.run, ["umount", "--lazy", str(place)], check=True)
            made.append(Disk(place, is_own))
        yield made


@contextmanager
def unwound_by_signals() -> Iterator[None]:
    """Within the block, signals that ask the program to end raise SystemExit, so that disks are unmounted and processes ended."""
    ending = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)

    def end(number: int, _: object) -> None:
        for each in ending:
            signal.signal(each, signal.SIG_IGN)
        sys.exit(128 + number)

    before = {each: signal.signal(each, end) for each in ending}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _mount(arguments: Sequence[str]) -> bool:
    if not shutil.which("mount"):
        return False
    return subprocess.run(["mount", *arguments], capture_output=True, check=False).returncode == 0


def clock_to_preload(folder: Path) -> Path | None:
    """A library (moved_clock.c) with which a process can change its clock; None if it cannot be built on this machine."""
    library, compiler = folder / _PRELOADED, shutil.which("cc")
    source = Path(__file__).with_name("moved_clock.c")
    if compiler is None or sys.platform != "linux":
        return None
    built = subprocess.run(
        [compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(source)], capture_output=True, check=False
    )
    return library if built.returncode == 0 else None


@contextmanager
def changed_files(paths: Sequence[Path], generator: np.random.Generator) -> Iterator[Callable[[], None]]:
    """A function that truncates, removes or replaces one of the files.

    After the block, all files have their original content again, with newer times of modification.
    """
    originals: Mapping[Path, bytes] = {path: path.read_bytes() for path in paths}

    def change() -> None:
        path = paths[generator.integers(len(paths))]
        content = originals[path]
        match generator.integers(4):
            case 0:
                path.write_bytes(content[: len(content) // 2])
            case 1:
                path.unlink(missing_ok=True)
            case 2:
                _replace(path, originals[paths[generator.integers(len(paths))]])
            case _:
                _replace(path, content)

    try:
        yield change
    finally:
        for path, content in originals.items():
            if not path.is_file() or path.read_bytes() != content:
                _replace(path, content)


def _replace(path: Path, content: bytes) -> None:
    temporary = path.with_name(f"_{path.name}.{os.getpid()}")
    temporary.write_bytes(content)
    temporary.replace(path)


def parts_of(process: int, words: str) -> list[psutil.Process]:
    """The processes that `process` has started and whose command lines contain `words`."""
    try:
        started = psutil.Process(process).children(recursive=True)
        return [each for each in started if words in " ".join(each.cmdline())]
    except psutil.Error:
        # one of them ended in the meantime
        return []
