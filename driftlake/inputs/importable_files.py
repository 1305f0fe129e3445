"""Recognises files that a run does not read, but an import does: OTLP, and logs of Feast.

It reads the first bytes or the columns of a few files, and is used only for an input without usable files. Not here: importing them (`driftlake.connect`).
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import PurePosixPath
from typing import Literal

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from driftlake.errors import DriftlakeError
from driftlake.inputs.listed_files import scheme_of
from driftlake.lake.storage import filesystem_of, is_hidden

# Files that are opened, that are named by a pattern, and folders in which files are searched.
_MOST_OPENED, _MOST_FILES, _MOST_FOLDERS = 5, 100, 20
# Enough for the beginning of any batch.
_HEAD_BYTES = 4096
_OF_JSON = re.compile(rb'\s*\{\s*"(resourceSpans|resourceLogs)"\s*:')
# The tags of the first field of a batch of protobuf, and of what can be in it first: a resource, or spans or records.
BATCH_TAG, _INNER_TAGS = 0x0A, (0x0A, 0x12)
# The collector writes the length of each batch of protobuf before it, most significant byte first.
LENGTH_BYTES = 4
# Columns that Feast adds to the features that it logs.
REQUEST_ID, LOGGED_AT = "__request_id", "__log_timestamp"
_KINDS = {
    "otlp": "OTLP (OpenTelemetry)",
    "feast": "a log of a Feast feature service",
}


@dataclass(frozen=True, slots=True)
class Importable:
    """Files of a folder that `driftlake import` reads."""

    kind: Literal["otlp", "feast"]
    paths: Sequence[str]

    @property
    def is_local(self) -> bool:
        """Whether they are on this machine; an import reads no others."""
        return "://" not in self.paths[0]

    @property
    def sentence(self) -> str:
        """What was found."""
        return f"{self.paths[0]} is {_KINDS[self.kind]}, which has to be imported"

    @property
    def hint(self) -> str:
        """The next command."""
        command = (
            f"driftlake import {self.kind} {self._argument if self.is_local else 'FILES'} --propose > {self.kind}.yaml"
        )
        first = "" if self.is_local else "copy the files to this machine, "
        return f"{first}propose a mapping with `{command}`, complete it, and import the files with it"

    @property
    def _argument(self) -> str:
        folder, _, name = self.paths[0].rpartition("/")
        if len(self.paths) == 1:
            return shlex.quote(self.paths[0])
        return shlex.quote(folder) if self.kind == "feast" else f"{shlex.quote(folder)}/*{PurePosixPath(name).suffix}"


def importable_in(location: str) -> Importable | None:
    """The importable files in a folder, or a single file."""
    try:
        return importable_among(_paths_in(location))
    except (OSError, DriftlakeError):
        return None


def importable_among(paths: Iterable[str]) -> Importable | None:
    """The importable ones among files; only the first few are opened."""
    listed = list(islice(paths, _MOST_FILES))
    for path in listed[:_MOST_OPENED]:
        if kind := _kind_of(path):
            return Importable(kind, [path, *(other for other in listed if other != path and _is_alike(other, path))])
    return None


def is_log_of_feast(columns: Iterable[str]) -> bool:
    """Whether a file with these columns is a log of a feature service."""
    return {REQUEST_ID, LOGGED_AT}.issubset(columns)


def _is_alike(one: str, other: str) -> bool:
    """Whether two files have the same folder and ending."""
    first, second = PurePosixPath(one), PurePosixPath(other)
    return (first.parent, first.suffix) == (second.parent, second.suffix)


def _paths_in(location: str) -> Iterator[str]:
    """The files of a place, breadth first, without listing everything."""
    filesystem, root = filesystem_of(location)
    scheme = scheme_of(location)
    if filesystem.get_file_info(root).is_file:
        yield scheme + root
        return
    folders = [root]
    for place in folders:
        entries = sorted(filesystem.get_file_info(pafs.FileSelector(place)), key=lambda entry: str(entry.path))
        visible = [entry for entry in entries if not is_hidden(entry.base_name)]
        yield from (scheme + entry.path for entry in visible if entry.is_file)
        below = [entry.path for entry in visible if not entry.is_file]
        folders += below[: _MOST_FOLDERS - len(folders)]


def _kind_of(path: str) -> Literal["otlp", "feast"] | None:
    try:
        filesystem, inner = filesystem_of(path)
        with filesystem.open_input_file(inner) as file:
            head: bytes = file.read(_HEAD_BYTES)
            if head.startswith(b"PAR1"):
                return "feast" if is_log_of_feast(pq.read_schema(file).names) else None
            return "otlp" if _OF_JSON.match(head) or _is_protobuf(head, file.size()) else None
    except (OSError, pa.ArrowException):
        return None


def _is_protobuf(head: bytes, size: int) -> bool:
    """Whether a file begins with a batch of spans or logs, with or without its length before it."""
    if head[:1] == b"\0":
        length = int.from_bytes(head[:LENGTH_BYTES], "big")
        return length <= size - LENGTH_BYTES and _is_batch(head[LENGTH_BYTES:], length)
    return _is_batch(head, size)


def _is_batch(head: bytes, length: int) -> bool:
    """Whether bytes begin with a field that fits into them and begins with a field itself."""
    place, inner = 1, 0
    while place < min(len(head), 6):
        inner |= (head[place] & 0x7F) << 7 * (place - 1)
        place += 1
        if head[place - 1] < 0x80:
            break
    fits = 0 < inner <= length - place
    return fits and head[0] == BATCH_TAG and len(head) > place and head[place] in _INNER_TAGS
