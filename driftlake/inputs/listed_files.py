"""Files as folders and logs list them, and the rules on names and first bytes by which they are read or skipped.

Nothing is opened, unless the name of a file does not say whether it is Parquet. Not here: finding files (`driftlake.inputs.day_folders`,
`driftlake.inputs.lakehouse`) and what is in them (`driftlake.inputs.parquet_files`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from typing import Protocol, TypeAlias

import pyarrow.fs as pafs

from driftlake.lake.storage import filesystem_of
from driftlake.vocabulary.wording import first_of

Value: TypeAlias = str | None

MAGIC = b"PAR1"
_SMALLEST_BYTES = 2 * len(MAGIC) + 4

# Skipped files that a message names.
_NAMED = 3
_PARQUET = {"parquet", "parq", "pq"}
_CODECS = {"snappy", "gz", "gzip", "zst", "zstd", "lz4", "br", "brotli", "uncompressed"}
# Names of files that are being written or have been replaced.
_SET_ASIDE = {"_copying_", "tmp", "temp", "inprogress", "partial", "bak", "old", "orig"}
_OTHER_FORMATS = {"csv", "tsv", "json", "jsonl", "avro", "orc", "txt", "md", "yaml", "yml", "xml", "html", "log", "zip"}
_OTHER_FORMATS |= {"crc", "md5", "sha256", "pkl", "xlsx"}


@dataclass(frozen=True, slots=True)
class ListedFile:
    """A file that has not been opened. `values` are the values of columns in the names of its folders or in the log of its table."""

    path: str
    size_bytes: int
    modified_ns: int | None
    values: Mapping[str, Value] = field(default_factory=dict)
    # from the log of a table; `deleted` has one bit per row, starting with the highest bit of the first byte
    row_count: int | None = None
    deleted: bytes = b""
    table_version: str | None = None
    # names by field id
    field_names: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SkippedEntry:
    """A file or folder that is not read; `is_likely_input` if it probably contains input."""

    path: str
    reason: str
    is_likely_input: bool = False

    def __str__(self) -> str:
        return f"{self.path} ({self.reason})"


@dataclass(frozen=True, slots=True)
class FilesOfDay:
    """The files of a day."""

    files: Sequence[ListedFile] = ()
    skipped: Sequence[SkippedEntry] = ()


class Listing(Protocol):
    """The contents of a place, by day."""

    @property
    def days(self) -> list[date]:
        """Days that have files, in order."""

    @property
    def layout(self) -> str:
        """The layout of the folders of days, in a form for people."""

    @property
    def skipped(self) -> Sequence[SkippedEntry]:
        """Files and folders that were found while looking for days and do not lead to any."""

    @property
    def has_more(self) -> bool:
        """Whether there are days that were not listed."""

    def files_of(self, day: date) -> FilesOfDay:
        """The files of a day, in order of their paths."""


def named(skipped: Sequence[SkippedEntry]) -> str:
    """The first few skipped files, for a message."""
    return first_of([*map(str, skipped)], _NAMED, joint="; ")


def as_skipped(path: str, size_bytes: int, modified_ns: int | None) -> SkippedEntry | None:
    """Why a file is skipped, judged by its name, or by its bytes if the name is not sufficient; None if it is read."""
    parts = path.rpartition("/")[2].lower().split(".")
    ending = parts[-1] if len(parts) > 1 else ""
    if ending in _PARQUET or (ending in _CODECS and parts[-2] in _PARQUET):
        return None
    if ending in _SET_ASIDE or ending.endswith("~"):
        return SkippedEntry(path, f"*.{ending} is a file that is still being written, or that was set aside")
    if ending in _OTHER_FORMATS:
        return SkippedEntry(
            path, f"*.{ending} is not a Parquet file", is_likely_input=ending in {"csv", "tsv", "jsonl", "avro", "orc"}
        )
    if _is_parquet(path, size_bytes, modified_ns):
        return None
    return SkippedEntry(path, f"it does not begin and end with {MAGIC.decode()}, as Parquet files do")


@lru_cache(maxsize=10_000)
def _is_parquet(path: str, size_bytes: int, _modified_ns: int | None) -> bool:
    """Judge a file by its first and last bytes; the same file is not opened twice."""
    if size_bytes < _SMALLEST_BYTES:
        return False
    filesystem, inner = filesystem_of(path)
    with filesystem.open_input_file(inner) as source:
        first, last = source.read_at(len(MAGIC), 0), source.read_at(len(MAGIC), size_bytes - len(MAGIC))
    return bool(first == MAGIC and last == MAGIC)


def scheme_of(location: str) -> str:
    """The scheme of a location, which the paths of a file system lack."""
    return f"{location.split('://', 1)[0]}://" if "://" in location else ""


def listed(entry: pafs.FileInfo, scheme: str, values: Mapping[str, Value]) -> ListedFile:
    """Turn an entry of a folder into a listed file."""
    return ListedFile(scheme + entry.path, entry.size, entry.mtime_ns, values)
