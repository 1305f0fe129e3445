"""The SQL catalog of the DuckLake: a SQLite file for one machine, PostgreSQL for several.

Writers take turns at a lock that is held only to attach and to commit, so that no commit is ever tried in vain and the
snapshot a commit makes is known. Not here: what is stored (warehouse.py).
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

import duckdb
from filelock import FileLock

from driftlake.config import Settings
from driftlake.errors import WarehouseError
from driftlake.queries import literal
from driftlake.session import load_extension

# A reader or writer waits this long for SQLite before it gives up; commits take milliseconds.
_BUSY_TIMEOUT_MS = 60_000
# Of the advisory lock: one of PostgreSQL's 2^63, the same for every writer of a database.
_LOCK_KEY = 7_463_021_975_418_826_731
_SECONDS_TO_CONNECT = 10


@dataclass(frozen=True, slots=True)
class Catalog:
    """Where a DuckLake keeps the names, files and snapshots of its tables; `place` is a file or a connection string."""

    kind: Literal["sqlite", "postgres"]
    place: str

    @property
    def name(self) -> str:
        """What people are told it is; there is no secret in it."""
        return self.place if self.kind == "sqlite" else f"postgres:{self.place}"

    @property
    def address(self) -> str:
        """As DuckLake's ATTACH wants it."""
        return f"ducklake:{self.kind}:{self.place if self.kind == 'sqlite' else self._patient}"

    @property
    def extension(self) -> str:
        """DuckDB's extension that reads it."""
        return f"{self.kind}_scanner"

    @property
    def hint(self) -> str:
        """What to do if it cannot be attached."""
        if self.kind == "sqlite":
            return "restore it from a backup, or point warehouse.catalog to another file"
        return "check host, dbname and user in warehouse.catalog, PGPASSWORD or ~/.pgpass, and that the server is up"

    def options(self, *, read_only: bool) -> list[str]:
        """Further options of ATTACH."""
        if self.kind == "postgres":
            return []
        # Only a writer may set the journal mode; a reader finds it set.
        return [f"META_BUSY_TIMEOUT {_BUSY_TIMEOUT_MS}", *([] if read_only else ["META_JOURNAL_MODE 'WAL'"])]

    def is_missing(self) -> bool:
        """Whether there is none, as far as can be known without connecting."""
        return self.kind == "sqlite" and not Path(self.place).is_file()

    def require(self) -> None:
        """Raises WarehouseError if there is none, as far as can be known without connecting."""
        if self.is_missing():
            raise WarehouseError(
                f"there is no warehouse at {self.name}",
                hint="run `driftlake run` or `driftlake backfill` first, or correct warehouse.catalog",
            )

    def writing(self) -> AbstractContextManager[object]:
        """The lock of writers, which may be entered again and again."""
        if self.kind == "postgres":
            return _AdvisoryLock(self._patient)
        Path(self.place).parent.mkdir(parents=True, exist_ok=True)
        return FileLock(f"{self.place}.lock")

    @property
    def _patient(self) -> str:
        """The connection string, with a limit to waiting for a server that does not answer."""
        return f"connect_timeout={_SECONDS_TO_CONNECT} {self.place}"


class _AdvisoryLock:
    """A lock that PostgreSQL keeps for a transaction, and gives up if its process dies.

    Held by a connection of its own: that of the commit ends before the commit is seen by others.
    """

    def __init__(self, connection_string: str) -> None:
        self._connection_string = connection_string
        self._connection: duckdb.DuckDBPyConnection | None = None

    def __enter__(self) -> Self:
        connection = self._connection or self._connect()
        connection.execute("begin")
        connection.execute(
            "from postgres_query('lock', 'select true as is_held from (select pg_advisory_xact_lock(' || ? || ')) as taken')",
            [str(_LOCK_KEY)],
        ).fetchall()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._connection is not None
        self._connection.execute("rollback")

    def _connect(self) -> duckdb.DuckDBPyConnection:
        self._connection = duckdb.connect()
        load_extension(self._connection, "postgres_scanner")
        self._connection.execute(f"attach {literal(self._connection_string)} as lock (type postgres, read_only)")
        return self._connection


def catalog_of(settings: Settings) -> Catalog:
    """The configured catalog."""
    kind, _, place = settings.warehouse.catalog.partition(":")
    return Catalog("postgres", place) if kind == "postgres" else Catalog("sqlite", settings.resolve(place))
