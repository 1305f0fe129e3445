"""Files as folders and logs list them, and by which names and first bytes they count.

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

# Of what is passed over, in a message.
_NAMED = 3
_PARQUET = {"parquet", "parq", "pq"}
_CODECS = {"snappy", "gz", "gzip", "zst", "zstd", "lz4", "br", "brotli", "uncompressed"}
# Names under which files stand while they are written, or after they were replaced.
_SET_ASIDE = {"_copying_", "tmp", "temp", "inprogress", "partial", "bak", "old", "orig"}
_OTHER_FORMATS = {"csv", "tsv", "json", "jsonl", "avro", "orc", "txt", "md", "yaml", "yml", "xml", "html", "log", "zip"}
_OTHER_FORMATS |= {"crc", "md5", "sha256", "gz", "bin", "pkl", "xlsx"}


@dataclass(frozen=True, slots=True)
class ListedFile:
    """A file, unopened. `values` are those of columns that stand in the names of its folders, or in the log of its table."""

    path: str
    size_bytes: int
    modified_ns: int | None
    values: Mapping[str, Value] = field(default_factory=dict)
    # what the log of a table says besides; `deleted` has a bit for each row, the first in the highest of the first byte
    row_count: int | None = None
    deleted: bytes = b""
    table_version: str | None = None
    # names by field id
    field_names: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PassedOver:
    """A file or folder that is not read; `is_suspect` if it seems to hold what should be."""

    path: str
    reason: str
    is_suspect: bool = False

    def __str__(self) -> str:
        return f"{self.path} ({self.reason})"


@dataclass(frozen=True, slots=True)
class FilesOfDay:
    """What was found of a day."""

    files: Sequence[ListedFile] = ()
    passed_over: Sequence[PassedOver] = ()


class Listing(Protocol):
    """What is in a place, by day."""

    @property
    def days(self) -> list[date]:
        """Days of which there are files, in order."""

    @property
    def layout(self) -> str:
        """How days are found in it, as people write it down."""

    @property
    def passed_over(self) -> Sequence[PassedOver]:
        """What was met on the way to the days and leads to none."""

    @property
    def has_more(self) -> bool:
        """Whether there are days that were not looked for."""

    def files_of(self, day: date) -> FilesOfDay:
        """The files of a day, in order of their paths."""


def named(passed_over: Sequence[PassedOver]) -> str:
    """The first of what is passed over, for a message."""
    return first_of([*map(str, passed_over)], _NAMED, joint="; ")


def objection_to(path: str, size_bytes: int, modified_ns: int | None) -> PassedOver | None:
    """Why a file does not count by its name, or by its bytes if the name does not say; None if it counts."""
    parts = path.rpartition("/")[2].lower().split(".")
    ending = parts[-1] if len(parts) > 1 else ""
    if ending in _PARQUET or (ending in _CODECS and parts[-2] in _PARQUET):
        return None
    if ending in _SET_ASIDE or ending.endswith("~"):
        return PassedOver(path, f"*.{ending} is a file that is being written or was set aside")
    if ending in _OTHER_FORMATS:
        return PassedOver(
            path, f"*.{ending} is no Parquet file", is_suspect=ending in {"csv", "tsv", "jsonl", "avro", "orc"}
        )
    if _is_parquet(path, size_bytes, modified_ns):
        return None
    return PassedOver(path, f"it does not begin and end with {MAGIC.decode()}, as Parquet files do")


@lru_cache(maxsize=10_000)
def _is_parquet(path: str, size_bytes: int, _modified_ns: int | None) -> bool:
    """By its first and last bytes; the same file is not opened twice."""
    if size_bytes < _SMALLEST_BYTES:
        return False
    filesystem, inner = filesystem_of(path)
    with filesystem.open_input_file(inner) as source:
        first, last = source.read_at(len(MAGIC), 0), source.read_at(len(MAGIC), size_bytes - len(MAGIC))
    return bool(first == MAGIC and last == MAGIC)


def scheme_of(location: str) -> str:
    """What the paths of a file system lack."""
    return f"{location.split('://', 1)[0]}://" if "://" in location else ""


def listed(entry: pafs.FileInfo, scheme: str, values: Mapping[str, Value]) -> ListedFile:
    """An entry of a folder."""
    return ListedFile(scheme + entry.path, entry.size, entry.mtime_ns, values)
