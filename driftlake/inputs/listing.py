"""Lists the place of an input: folders of days, or a table with a log. All code that looks for files starts here.

Not here: how each kind is listed (`driftlake.inputs.day_folders`, `driftlake.inputs.lakehouse`), and what is in the
files (`driftlake.inputs.parquet_files`).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date

import pyarrow.fs as pafs

from driftlake.errors import InputError
from driftlake.inputs import lakehouse
from driftlake.inputs.day_folders import DayFolders
from driftlake.inputs.importable_files import importable_in
from driftlake.inputs.listed_files import ListedFile, Listing, SkippedEntry, as_skipped, listed, named, scheme_of
from driftlake.inputs.partition_names import Place, columns_of, down
from driftlake.lake.storage import filesystem_of, is_hidden


def list_input(location: str, pattern: str | None = None, days: Collection[date] | None = None) -> Listing:
    """The files of a place by day. If `days` are given, other days may be left out. `pattern` describes the names of folders.

    Raises InputError if the folder does not exist, if it has content but no recognisable day, or if it is a table whose
    log cannot be read.
    """
    found = look_into(location, pattern, days)
    if not found.days and found.skipped and not found.has_more:
        raise no_day_recognised(location, found.skipped)
    return found


def look_into(location: str, pattern: str | None = None, days: Collection[date] | None = None) -> Listing:
    """The same, but without an error if no day is recognised."""
    entries = _entries(location)
    return lakehouse.table_in(location, entries, pattern) or DayFolders(location, entries, pattern, days)


def no_day_recognised(location: str, skipped: Sequence[SkippedEntry]) -> InputError:
    """The message about a place that has content but no recognisable day."""
    if found := importable_in(location):
        return InputError(found.sentence, hint=found.hint)
    return InputError(
        f"nothing in {location} is recognised as a day: {named(skipped)}",
        hint="folders of days are recognised by names such as dt=2026-01-31, dt=20260131 or"
        ' year=2026/month=01/day=31; for other names set `partitioning`, e.g. "day_%Y%m%d" or "*/%Y/%m/%d"',
    )


def list_all(location: str) -> list[ListedFile]:
    """Every file of a folder or table, under any names of folders; empty if there is none.

    Raises InputError if there is no such folder.
    """
    if table := lakehouse.table_in(location, _entries(location)):
        return sorted(table.files, key=lambda file: file.path)
    filesystem, root = filesystem_of(location)
    scheme = scheme_of(location)
    files = []
    for entry in filesystem.get_file_info(pafs.FileSelector(root, recursive=True)):
        inner = entry.path.removeprefix(root).lstrip("/")
        if not entry.is_file or is_hidden(inner) or as_skipped(scheme + entry.path, entry.size, entry.mtime_ns):
            continue
        keyed = [name for name in inner.split("/")[:-1] if "=" in name]
        place = down(Place(day=date.min), keyed) or Place()
        files.append(listed(entry, scheme, columns_of(place)))
    return sorted(files, key=lambda file: file.path)


def files_in(location: str) -> list[ListedFile]:
    """A file, or every file of a folder or table, in order.

    Raises InputError if there is no such place.
    """
    filesystem, root = filesystem_of(location)
    entry = filesystem.get_file_info(root)
    if entry.type == pafs.FileType.File:
        return [listed(entry, scheme_of(location), {})]
    return list_all(location)


def _not_a_folder(location: str) -> InputError:
    if found := importable_in(location):
        return InputError(found.sentence, hint=found.hint)
    return InputError(f"{location} is a file", hint="give the folder that holds the folders of days")


def _entries(location: str) -> Sequence[pafs.FileInfo]:
    filesystem, root = filesystem_of(location)
    try:
        found: Sequence[pafs.FileInfo] = filesystem.get_file_info(pafs.FileSelector(root))
    except FileNotFoundError:
        raise InputError(f"there is no folder {location}", hint="correct the path, or mount the file system") from None
    except NotADirectoryError:
        if not filesystem.get_file_info(root).is_file:
            raise InputError(
                f"{location} is neither a regular file nor a folder",
                hint="give a regular file, or the folder of such files",
            ) from None
        raise _not_a_folder(location) from None
    return found
