"""Exceptions that cost what raised them: in a sentence, in full, and which of them concern everything else, too.

Not here: catching them (`driftlake.nightly.isolation`, `driftlake.training.registration`).
"""

from __future__ import annotations

import errno
import traceback

import duckdb

from driftlake.errors import ConfigurationError, DriftlakeError, EngineError, StorageError, WarehouseError

_KINDS = (ConfigurationError, EngineError, StorageError, WarehouseError, duckdb.HTTPException)
_ERRNOS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMFILE, errno.ENFILE}
# DuckDB has no error numbers.
_WORDS = ("No space left on device", "Disk quota exceeded", "Read-only file system", "Too many open files")


def is_of_machine(error: Exception) -> bool:
    """Whether the disk is full or the like: what comes next would fail as well."""
    return getattr(error, "errno", None) in _ERRNOS or any(words in str(error) for words in _WORDS)


def is_of_every_day(error: Exception) -> bool:
    """Whether no other day or model could do better: the warehouse, the storage, the machine, the configuration."""
    return isinstance(error, _KINDS) or is_of_machine(error)


def sentence_of(error: Exception) -> str:
    """What was raised, in a line; of an error that is not ours its kind, too."""
    if isinstance(error, DriftlakeError):
        return error.message.partition("\n")[0]
    first_line = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {first_line}" if first_line else type(error).__name__


def trace_of(error: BaseException) -> str:
    """The traceback, with those of its causes."""
    return "".join(traceback.format_exception(error))
