"""The SQL catalog of the DuckLake: a SQLite file for one machine, PostgreSQL for several.

Writers hold a lock only while they attach and commit. So commits of driftlake never conflict, and each knows the
snapshot that it makes. Not here: what is stored (`driftlake.lake.warehouse`).
"""

from __future__ import annotations

import re
import sqlite3
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

import duckdb
from filelock import FileLock

from driftlake.config import Settings
from driftlake.errors import DriftlakeError, WarehouseError
from driftlake.lake.duckdb_extensions import connect_with
from driftlake.lake.faults import explained
from driftlake.lake.queries import literal
from driftlake.lake.whole_files import replaced_whole

# A reader or writer waits this long for SQLite before it gives up; commits take milliseconds.
_BUSY_TIMEOUT_MS = 60_000
# Error messages of the server and of libpq.
_SERVER_MESSAGE = re.compile(r"(?:FATAL|ERROR): +(.+)")
_CLIENT_MESSAGE = re.compile(r"Unable to connect to Postgres at \"[^\"]*\": (.+)")
_ANY_HINT = "check host, dbname and user in warehouse.catalog, PGPASSWORD or ~/.pgpass, and that the server is up"
_HINTS = {
    "password": "set PGPASSWORD, or write the password of this host, database and user into ~/.pgpass (mode 0600)",
    'database "': "create the database, e.g. with createdb; DuckLake makes its tables in it",
    "the database system is": "wait until the server has started or recovered, then run the same command again",
    "permission denied": "let the user create tables in schema public, and write to those of the lake: make it their owner",
}

# DuckLake sometimes creates a table, for rows that are too few for a file.
_MAY_WRITE = """
    select has_schema_privilege('public', 'create') and coalesce(bool_and(has_table_privilege(oid, 'insert')), true) as answer
    from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r' and starts_with(relname, 'ducklake_')
"""

# Key of the advisory lock, the same for every writer of a database.
_LOCK_KEY = 7_463_021_975_418_826_731
_SECONDS_TO_CONNECT = 10


@dataclass(frozen=True, slots=True)
class Catalog:
    """Where a DuckLake keeps the names, files and snapshots of its tables; `place` is a file or a connection string."""

    kind: Literal["sqlite", "postgres"]
    place: str

    @property
    def name(self) -> str:
        """Its name in messages, without secrets."""
        return self.place if self.kind == "sqlite" else f"postgres:{self.place}"

    @property
    def address(self) -> str:
        """Its address in DuckLake's ATTACH."""
        return f"ducklake:{self.kind}:{self.place if self.kind == 'sqlite' else self._with_timeout}"

    @property
    def extension(self) -> str:
        """DuckDB's extension that reads it."""
        return f"{self.kind}_scanner"

    @property
    def extra(self) -> str | None:
        """The extra of driftlake that brings the extension."""
        return "postgres" if self.kind == "postgres" else None

    def failure(self, error: Exception) -> DriftlakeError:
        """The error that it cannot be attached, with what to do."""
        # if the server cannot be reached, the client's message is more specific
        is_refused = self.kind == "postgres" and _CLIENT_MESSAGE.search(str(error))
        if not is_refused and (fault := explained(error, doing=f"cannot attach the warehouse catalog {self.name}")):
            return fault
        if self.kind == "sqlite":
            hint = "restore it from a backup, or point warehouse.catalog to another file"
            return WarehouseError(f"cannot attach the warehouse catalog {self.name}: {error}", hint=hint)
        said = _SERVER_MESSAGE.search(str(error)) or _CLIENT_MESSAGE.search(str(error))
        message = said[1].strip() if said else str(error)
        hint = next((hint for words, hint in _HINTS.items() if words in message), _ANY_HINT)
        return WarehouseError(f"cannot attach the warehouse catalog {self.name}: {message}", hint=hint)

    def options(self, *, read_only: bool) -> list[str]:
        """Further options of ATTACH."""
        if self.kind == "postgres":
            return []
        # Only a writer may set the journal mode; it stays set for readers.
        return [f"META_BUSY_TIMEOUT {_BUSY_TIMEOUT_MS}", *([] if read_only else ["META_JOURNAL_MODE 'WAL'"])]

    def is_missing(self) -> bool:
        """Whether the catalog does not exist. Raises WarehouseError if the server cannot be reached."""
        if self.kind == "sqlite":
            place = Path(self.place)
            # SQLite makes an empty file before it writes
            return not place.is_file() or place.stat().st_size == 0
        try:
            with _connected(self._with_timeout) as connection:
                return not _asked(connection, "select to_regclass('public.ducklake_metadata') is not null as answer")
        except duckdb.Error as error:
            raise self.failure(error) from error

    def require_writable(self) -> None:
        """Raises WarehouseError if the user may not change a catalog in PostgreSQL; this cannot be known in advance for a file."""
        if self.kind == "sqlite":
            return
        try:
            with _connected(self._with_timeout) as connection:
                may_write = _asked(connection, _MAY_WRITE)
        except duckdb.Error as error:
            raise self.failure(error) from error
        if not may_write:
            raise self.failure(
                duckdb.Error("ERROR: permission denied: the user may not create tables or write to them")
            )

    def require(self) -> None:
        """Raises WarehouseError if the catalog does not exist, as far as this can be known without connecting."""
        if self.is_missing():
            raise WarehouseError(
                f"there is no warehouse at {self.name}",
                hint="run `driftlake run` or `driftlake backfill` first, or correct warehouse.catalog",
            )

    def writing(self) -> AbstractContextManager[object]:
        """The lock of writers, which is reentrant."""
        if self.kind == "postgres":
            return _AdvisoryLock(self._with_timeout)
        Path(self.place).parent.mkdir(parents=True, exist_ok=True)
        return FileLock(f"{self.place}.lock")

    def keep_copy(self, version: int) -> None:
        """Copy a SQLite file, whose tables have a version, to a file beside it; PostgreSQL is backed up with tools of its own.

        An earlier copy of the version is kept: it is from before the first attempt.
        """
        target = Path(f"{self.place}.version-{version}")
        if self.kind == "postgres" or target.exists():
            return
        with replaced_whole(target) as temporary:
            copy_sqlite(Path(self.place), temporary)

    def overwrite_deleted(self) -> None:
        """Write a SQLite file again, which keeps the bytes of deleted rows, and remove its copies; PostgreSQL does it by itself (autovacuum).

        Raises WarehouseError if readers keep the file open.
        """
        if self.kind == "postgres":
            return
        for copy in Path(self.place).parent.glob(f"{Path(self.place).name}.version-*"):
            copy.unlink(missing_ok=True)
        try:
            with self.writing(), closing(sqlite3.connect(self.place, timeout=_BUSY_TIMEOUT_MS / 1000)) as connection:
                connection.execute("vacuum")
                connection.execute("pragma wal_checkpoint(truncate)").fetchall()
        except sqlite3.OperationalError as error:
            raise WarehouseError(
                f"{self.place} was not written again, so it still has the bytes of deleted rows: {error}",
                hint="stop what reads the warehouse and run the command again",
            ) from error

    @property
    def _with_timeout(self) -> str:
        """The connection string with a timeout for a server that does not answer."""
        return f"connect_timeout={_SECONDS_TO_CONNECT} {self.place}"


class _AdvisoryLock:
    """A PostgreSQL lock that belongs to a transaction and is released if its process dies.

    A connection of its own holds it, because the transaction of the commit ends before others can see the commit.
    """

    def __init__(self, connection_string: str) -> None:
        self._connection_string = connection_string
        self._connection: duckdb.DuckDBPyConnection | None = None

    def __enter__(self) -> Self:
        self._connection = self._connection or _connected(self._connection_string)
        self._connection.execute("begin")
        _asked(self._connection, f"select true as answer from (select pg_advisory_xact_lock({_LOCK_KEY})) as taken")
        return self

    def __exit__(self, *_: object) -> None:
        assert self._connection is not None
        self._connection.execute("rollback")


def _connected(connection_string: str) -> duckdb.DuckDBPyConnection:
    """A connection for queries to the server itself."""
    connection = connect_with({"postgres_scanner": "postgres"})
    # no progress bar while waiting for the lock, and stdout is for rows
    connection.execute("set enable_progress_bar = false")
    connection.execute(f"attach {literal(connection_string)} as server (type postgres, read_only)")
    return connection


def _asked(connection: duckdb.DuckDBPyConnection, question: str) -> bool:
    row = connection.execute("select answer from postgres_query('server', ?)", [question]).fetchone()
    return row is not None and bool(row[0])


def copy_sqlite(source: Path, target: Path) -> None:
    """Copy a SQLite file as it is now, also while others write it, into one file without a log beside it."""
    target.unlink(missing_ok=True)
    with closing(sqlite3.connect(source)) as original, closing(sqlite3.connect(target)) as copy:
        original.backup(copy)
        copy.execute("pragma journal_mode = delete")


def catalog_of(settings: Settings) -> Catalog:
    """The configured catalog."""
    kind, _, place = settings.warehouse.catalog.partition(":")
    return Catalog("postgres", place) if kind == "postgres" else Catalog("sqlite", settings.resolve(place))


def moves_with_project(settings: Settings) -> bool:
    """Whether catalog and data are both relative and inside the project, so that a copy of the project has its own.

    If only one of them is, a copy shares the other with the original, and its files are where the catalog says.
    """
    kind, _, place = settings.warehouse.catalog.partition(":")
    data, project = settings.warehouse.data, settings.resolve(".")
    return kind == "sqlite" and all(
        "://" not in each and not Path(each).is_absolute() and Path(settings.resolve(each)).is_relative_to(project)
        for each in (place, data)
    )
