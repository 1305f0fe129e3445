"""Files that others read while they are written anew.

Not here: what is in them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replaced_whole(target: Path) -> Iterator[Path]:
    """A path to write to, which takes the place of `target` at the end: a reader sees the old file or the new one.

    It begins with a dot and has another ending, so a reader of the folder leaves it alone; nothing of it stays if the
    writing fails.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        yield temporary
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
