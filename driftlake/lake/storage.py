"""Places of files, on this machine or elsewhere: the file system of a place, and which files in it are ignored.

Not here: access to S3 (`driftlake.lake.s3`), and what is in the files (`driftlake.inputs`, `driftlake.lineage`).
"""

from __future__ import annotations

import pyarrow.fs as pafs

from driftlake.lake import s3


def filesystem_of(location: str) -> tuple[pafs.FileSystem, str]:
    """File system and path inside it for a local path or an s3:// URI. Raises StorageError without S3 credentials."""
    if s3.is_on_s3(location):
        return s3.filesystem_of(location)
    if "://" in location:
        found: tuple[pafs.FileSystem, str] = pafs.FileSystem.from_uri(location)
        return found
    return pafs.LocalFileSystem(), location


def is_hidden(path: str) -> bool:
    """Whether a file is ignored, given its path in the folder: writers use such names for unfinished files."""
    return any(part.startswith(("_", ".")) for part in path.split("/"))
