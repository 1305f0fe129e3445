"""A folder of files by day: which folders stand for a day, and the files in them.

One listing finds the days. A second one per day finds its files in all folders below. Not here: what names mean
(`driftlake.inputs.partition_names`, `driftlake.inputs.listed_files`), and tables that have a log
(`driftlake.inputs.lakehouse`).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from datetime import date

import pyarrow.fs as pafs

from driftlake.inputs.listed_files import FilesOfDay, SkippedEntry, as_skipped, listed, scheme_of
from driftlake.inputs.partition_names import DAY_KEYS, Place, below, columns_of, down
from driftlake.lake.storage import filesystem_of, is_hidden
from driftlake.vocabulary.wording import counted

# Limits on the levels above days (years, months, regions) and on the folders that are listed in them.
_MOST_LEVELS, _MOST_FOLDERS = 4, 200
# Limit on the levels below a day (hours, regions), which also ends a loop through a link that leads back up.
_MOST_LEVELS_BELOW = 8


class DayFolders:
    """The folders of days below a place. If `days` are given, folders of other days may be left out."""

    def __init__(
        self,
        location: str,
        entries: Sequence[pafs.FileInfo],
        pattern: str | None = None,
        days: Collection[date] | None = None,
    ) -> None:
        self._filesystem, self._root = filesystem_of(location)
        self._scheme = scheme_of(location)
        self._pattern = pattern
        self._asked = days
        self._folders: defaultdict[date, list[tuple[str, Place]]] = defaultdict(list)
        self.skipped: list[SkippedEntry] = []
        self._shapes: Counter[str] = Counter()
        # whether there are days that were not listed
        self.has_more = False
        level = self._next_level([(self._root, Place(), entries)])
        for _ in range(_MOST_LEVELS):
            level = self._next_level([(path, place, self._entries(path)) for path, place in level])
        self.skipped += [self._unread(path, "the names of its parent folders contain no day") for path, _ in level]

    @property
    def days(self) -> list[date]:
        """Days that have a folder, in order."""
        return sorted(self._folders)

    @property
    def layout(self) -> str:
        """Names of the folders, the most frequent first. Folders below days are included once their files have been listed."""
        of_days = Counter("/".join(place.shape) for found in self._folders.values() for _, place in found)
        shapes = self._shapes or of_days
        return ", ".join(f"{shape}/" for shape, _ in shapes.most_common())

    def files_of(self, day: date) -> FilesOfDay:
        """The files of a day, in every folder that stands for it."""
        files, skipped = [], []
        for folder, place in self._folders.get(day, ()):
            selector = pafs.FileSelector(folder, allow_not_found=True, recursive=True)
            unread: Counter[str] = Counter()
            for entry in self._filesystem.get_file_info(selector):
                inner = entry.path.removeprefix(folder).lstrip("/")
                if not entry.is_file or is_hidden(inner):
                    continue
                above = inner.rpartition("/")[0]
                levels = above.split("/") if above else []
                where = down(place, levels, self._pattern) if len(levels) <= _MOST_LEVELS_BELOW else None
                if where is None:
                    unread[f"{folder}/{above}"] += 1
                elif entry_skipped := as_skipped(self._scheme + entry.path, entry.size, entry.mtime_ns):
                    skipped.append(entry_skipped)
                else:
                    self._shapes["/".join(where.shape)] += 1
                    files.append(listed(entry, self._scheme, columns_of(where)))
            skipped += [
                SkippedEntry(
                    self._scheme + path,
                    f"{counted(count, 'file')} in a folder that is neither key=value nor an hour",
                    is_likely_input=True,
                )
                for path, count in unread.items()
            ]
        return FilesOfDay(sorted(files, key=lambda file: file.path), sorted(skipped, key=lambda entry: entry.path))

    def _entries(self, path: str) -> Sequence[pafs.FileInfo]:
        found: Sequence[pafs.FileInfo] = self._filesystem.get_file_info(pafs.FileSelector(path))
        return found

    def _next_level(self, level: Sequence[tuple[str, Place, Sequence[pafs.FileInfo]]]) -> list[tuple[str, Place]]:
        """The folders one level further down that may lead to days; folders of days are recorded."""
        leading: list[tuple[str, Place]] = []
        days_before = len(self._folders)
        for path, place, entries in level:
            leading += self._leading(path, place, entries)
        is_understood = len(self._folders) > days_before or any(not place.is_empty for _, place in leading)
        silent = [path for path, place in leading if place.is_empty]
        if is_understood or len(silent) > _MOST_FOLDERS:
            why = (
                "its name contains no day"
                if is_understood
                else f"more than {_MOST_FOLDERS} folders are not searched for days"
            )
            self.skipped += [self._unread(path, why) for path in silent[:_MOST_FOLDERS]]
            leading = [(path, place) for path, place in leading if not place.is_empty]
        return leading

    def _leading(self, path: str, place: Place, entries: Sequence[pafs.FileInfo]) -> Iterator[tuple[str, Place]]:
        """The folders in a folder whose names have a meaning; its files are not read."""
        stray: list[str] = []
        for entry in sorted(entries, key=lambda entry: str(entry.path)):
            if is_hidden(entry.base_name):
                continue
            if entry.is_file:
                stray.append(entry.base_name)
                continue
            inner = below(place, entry.base_name, self._pattern)
            if inner is None:
                self.skipped.append(self._unread(entry.path, "its name contains no day"))
            elif inner.day is not None:
                self._folders[inner.day].append((entry.path, inner))
            elif self._asked is None or inner.may_hold(self._asked):
                yield entry.path, inner
            else:
                self.has_more = True
        if stray:
            first = next((name for name in stray if name.endswith(".parquet")), stray[0])
            self.skipped.append(
                SkippedEntry(
                    self._scheme + path,
                    f"{counted(len(stray), 'file')} in it but not in the folder of a day, e.g. {first}",
                    is_likely_input=first.endswith(".parquet"),
                )
            )

    def _unread(self, path: str, reason: str) -> SkippedEntry:
        name = path.rpartition("/")[2]
        # the name was meant as a day
        is_likely_input = name.partition("=")[0].lower() in DAY_KEYS and "=" in name
        return SkippedEntry(self._scheme + path, reason, is_likely_input=is_likely_input)
