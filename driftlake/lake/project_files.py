"""Where sql/, assets/, jobs/ and expectations/ are: beside driftlake/ in a checkout, in driftlake/project/ in a wheel.

A wheel may be read as the zip it is, by the workers of a cluster. Not here: what is in the files.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from driftlake.errors import InstallationError

_PACKAGE, _IN_WHEEL = "driftlake", "project"


@cache
def folder() -> Traversable:
    """The folder that holds sql/, assets/, jobs/ and expectations/. Raises InstallationError if there is none."""
    package = files(_PACKAGE)
    # checked first, because site-packages may contain an unrelated package called sql
    if (inside := package / _IN_WHEEL).is_dir():
        return inside
    if isinstance(package, Path) and (package.parent / "sql" / "tables").is_dir():
        return package.parent
    raise InstallationError(
        f"{package} was installed or copied without sql/",
        hint="install the wheel, or put a whole checkout on PYTHONPATH",
    )


def sources(name: str) -> list[tuple[str, Traversable]]:
    """The Python and SQL files below driftlake/, sql/, assets/, jobs/ or expectations/, under their names in a checkout.

    Raises InstallationError if there is none.
    """
    top = files(_PACKAGE) if name == _PACKAGE else folder() / name
    found = dict(_below(top, name)) if top.is_dir() else {}
    if not found:
        raise InstallationError(f"{top} has no files of driftlake", hint="install driftlake again")
    return sorted(found.items())


def make_importable() -> None:
    """Make `assets`, `jobs` and `expectations` importable; in a wheel they are not on Python's path."""
    if (place := str(folder())) not in sys.path:
        sys.path.insert(0, place)


def _below(top: Traversable, name: str) -> Iterator[tuple[str, Traversable]]:
    for each in top.iterdir():
        path = f"{name}/{each.name}"
        if path == f"{_PACKAGE}/{_IN_WHEEL}":
            continue
        if each.is_dir():
            yield from _below(each, path)
        elif path.endswith((".py", ".sql")):
            yield path, each
