"""Faults of a machine, made on purpose: full and read-only disks, inputs that change, a moved clock, and the processes of a command.

Not here: the load, and what is checked afterwards (`bench.crashes`).
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
    """A disk of its own under a place of the project."""

    place: Path
    # False if none could be mounted, and the place is a folder
    is_own: bool = True

    @contextmanager
    def full(self) -> Iterator[None]:
        """No byte is free in the block."""
        filler = self.place / _FILLER
        with suppress(OSError), filler.open("wb") as file:
            while True:
                file.write(b"x" * 1_000_000)
                file.flush()
        # what is left is less than a write of a megabyte
        with suppress(OSError), filler.open("ab", buffering=0) as file:
            while True:
                file.write(b"x" * 512)
        try:
            yield
        finally:
            filler.unlink()

    @contextmanager
    def read_only(self) -> Iterator[None]:
        """Nothing can be written in the block. Raises BlockingIOError if a file is open for writing when it begins."""
        if not _mount(["-o", "remount,ro", str(self.place)]):
            raise BlockingIOError(errno.EBUSY, os.strerror(errno.EBUSY), str(self.place))
        try:
            yield
        finally:
            _mount(["-o", "remount,rw", str(self.place)])


@contextmanager
def disks(places: Sequence[Path]) -> Iterator[Sequence[Disk]]:
    """A small disk under each of the places, if this user may mount any."""
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
    """Signals that ask the program to end raise SystemExit in the block, so that disks are unmounted and processes ended."""
    asking = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)

    def end(number: int, _: object) -> None:
        for each in asking:
            signal.signal(each, signal.SIG_IGN)
        sys.exit(128 + number)

    before = {each: signal.signal(each, end) for each in asking}
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
    """A library that lets a process move its clock (moved_clock.c); None if it cannot be built here."""
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
    """A function that truncates, removes or replaces one of the files; all are as they were after the block, but newer."""
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
    """The processes that a process has started and whose command lines have the words."""
    try:
        started = psutil.Process(process).children(recursive=True)
        return [each for each in started if words in " ".join(each.cmdline())]
    except psutil.Error:
        # one of them has ended meanwhile
        return []
