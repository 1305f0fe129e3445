"""Replaces files that others may be reading.

Not here: the contents of the files.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replaced_whole(target: Path) -> Iterator[Path]:
    """A path to write to, which replaces `target` at the end: a reader sees the old file or the new one.

    Its name begins with a dot and has another ending, so readers of the folder ignore it. It is removed if writing fails.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        yield temporary
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
