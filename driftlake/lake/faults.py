"""Explains faults of the machine and of the catalog in one sentence: what happened, whether data is safe, what to do.

Libraries report the same fault in different ways, mostly without an error number. Therefore a fault is recognised by the
text of the message, too. Not here: which faults affect all days of a run (`driftlake.lake.failures`), and printing
(`driftlake.cli`).
"""

from __future__ import annotations

import errno
import re
from dataclasses import dataclass

from driftlake.errors import DriftlakeError, WarehouseError

_SAFE = "committed data is safe, and no row is half-written"
_SHOWN_CHARACTERS = 200
_TYPE = re.compile(
    r"^(IO|Out of Memory|Invalid Input|Invalid|Transaction(Context)?|Permission)( Error)?: ", re.IGNORECASE
)

# PostgreSQL's own message. In the error it comes after the failed statement, which can have a hundred lines.
_BY_SERVER = re.compile(r"\b(?:ERROR|FATAL|PANIC):  (.+)")


@dataclass(frozen=True, slots=True)
class Fault:
    """A kind of fault: how libraries report it, and how driftlake explains it."""

    words: tuple[str, ...]
    error_numbers: frozenset[int]
    sentence: str
    hint: str
    # whether every further attempt would fail, too
    is_of_machine: bool = False


FULL = Fault(
    ("No space left on device", "Disk quota exceeded", "database or disk is full", "File too large"),
    frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG}),
    "the disk is full, or a quota or limit is reached",
    f"{_SAFE}; free space, then run the same command again",
    is_of_machine=True,
)
READ_ONLY = Fault(
    ("Read-only file system", "attempt to write a readonly database"),
    frozenset({errno.EROFS}),
    "a file or folder is read-only",
    f"{_SAFE}; make it writable or configure another location, then run the same command again",
    is_of_machine=True,
)
DENIED = Fault(
    ("Permission denied",),
    frozenset({errno.EACCES, errno.EPERM}),
    "this user has no permission for a file or folder",
    f"{_SAFE}; grant the permission, or run the command as another user",
)
FILES = Fault(
    ("Too many open files",),
    frozenset({errno.EMFILE, errno.ENFILE}),
    "too many files are open",
    f"{_SAFE}; raise the limit with `ulimit -n`, then run the same command again",
    is_of_machine=True,
)
LOCKED = Fault(
    ("database is locked", "database table is locked"),
    frozenset(),
    "another program holds the lock of the catalog",
    f"{_SAFE}; end the program that has the file open (`fuser` names it), then run the same command again",
)
CORRUPT = Fault(
    ("file is not a database", "database disk image is malformed", "file is encrypted or is not a database"),
    frozenset(),
    "the file of the catalog is damaged",
    "the data files are not affected; move the catalog and the data away and run `driftlake restore`, see docs/backup.md",
)
UNOPENED = Fault(
    ("unable to open database file",),
    frozenset(),
    "the file of the catalog cannot be opened; even to read it, SQLite writes files in the same folder",
    "nothing was changed; make the file and its folder writable for this user, or copy the project to a writable folder",
)
OTHER_FORMAT = Fault(
    ("DuckLake catalog version mismatch",),
    frozenset(),
    "the catalog has a version of the DuckLake format that this release of driftlake does not write",
    "nothing was changed; install the release of driftlake that created it, see docs/upgrade.md",
)
FAILING = Fault(
    ("disk I/O error",),
    frozenset({errno.EIO}),
    "the disk is full or faulty",
    f"{_SAFE}; free space or check the disk, then run the same command again",
    is_of_machine=True,
)
LOST = Fault(
    ("Cannot open file",),
    frozenset(),
    "a required file is missing",
    "if it is a data file of the warehouse, copy it from a backup (docs/backup.md) or run its day again, then run `driftlake verify`",
)
MEMORY = Fault(
    (
        "Out of Memory Error",
        "MemoryError",
        "std::bad_alloc",
        "failed to allocate data",
        "malloc of size",
        "realloc of size",
    ),
    frozenset({errno.ENOMEM}),
    "memory ran out",
    f"{_SAFE}; raise compute.memory_limit if the machine has more memory, or lower compute.rows_per_chunk or compute.threads",
)
AWAY = Fault(
    (
        "Unable to connect to Postgres",
        "server closed the connection unexpectedly",
        "terminating connection due to",
        "no connection to the server",
        "could not receive data from server",
        "could not send data to server",
        "the database system is",
        # the only message if the connection was lost within a transaction
        'Failed to execute query "ROLLBACK"',
    ),
    frozenset(),
    "the PostgreSQL server of the catalog is down, or it ended the connection",
    f"{_SAFE}; make sure that the server runs and its disk has free space, then run the same command again",
    is_of_machine=True,
)
FAULTS = (FULL, READ_ONLY, DENIED, FILES, LOCKED, CORRUPT, UNOPENED, OTHER_FORMAT, FAILING, MEMORY, LOST, AWAY)


def fault_of(error: BaseException) -> Fault | None:
    """The fault that an exception reports, if any."""
    number, text = getattr(error, "errno", None), _text(error)
    for fault in FAULTS:
        if number in fault.error_numbers or any(words in text for words in fault.words):
            return fault
    return None


def explained(error: BaseException, *, doing: str = "") -> DriftlakeError | None:
    """An exception as a DriftlakeError if it reports a known fault, else None. The message begins with `doing`."""
    fault = fault_of(error)
    if fault is None:
        return None
    return described(fault, error, doing=doing)


def described(fault: Fault, error: BaseException, *, doing: str = "") -> DriftlakeError:
    """A fault as a DriftlakeError with the message of the library."""
    begin = f"{doing}: " if doing else ""
    return WarehouseError(f"{begin}{fault.sentence} ({_detail(error)})", hint=fault.hint)


def _text(error: BaseException) -> str:
    # a MemoryError has no text, but its name says enough
    return f"{type(error).__name__}: {error}"


def _detail(error: BaseException) -> str:
    """The message of the PostgreSQL server, or the first line of the library's message, without the type of the error."""
    by_server = _BY_SERVER.search(str(error))
    line = by_server[1] if by_server else str(error).strip().partition("\n")[0] or type(error).__name__
    line = _TYPE.sub("", line)
    return line if len(line) <= _SHOWN_CHARACTERS else f"{line[:_SHOWN_CHARACTERS]}..."
