"""The DuckLake catalog: attach, read, replace partitions in one transaction.

Several processes may write at once; they take turns at a lock of the catalog that is held only to attach and to commit,
and compute outside of it. Not here: what the rows mean.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from driftlake.config import Settings, load_settings
from driftlake.errors import WarehouseError
from driftlake.lake import faults, queries, schema
from driftlake.lake.catalog import Catalog, catalog_of, moves_with_project
from driftlake.lake.failures import is_of_machine
from driftlake.lake.migration import migrate, require_current
from driftlake.lake.s3 import S3Session, extensions_to_reach, require_place
from driftlake.lake.session import connect
from driftlake.lake.table_copies import TableCopies

CATALOG = "lake"

Result = TypeVar("Result")

# DuckLake retries a commit if another client was first: with these settings for a minute, by default for about ten
# seconds.
_RETRIES = {"ducklake_max_retry_count": 50, "ducklake_retry_wait_ms": 50, "ducklake_retry_backoff": 1.1}
# A thread sums this many rows of a table in a few tenths of a second.
_ROWS_OF_ONE_THREAD = 5_000_000
# Seconds between our own attempts if others have changed the same rows.
_PAUSES = (0.1, 0.5, 2.0)
_TICK = timedelta(microseconds=1)
# What SQLite says if another client has written since this transaction began to read.
_LOCKED = "database is locked"


@dataclass(frozen=True, slots=True)
class Replacement:
    """New rows of `table` for whole `days`; `only` narrows what is replaced, e.g. {"source": "labels"}."""

    table: str
    rows: pa.Table
    days: Sequence[date]
    only: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of_days(cls, table: str, rows: pa.Table, days: Sequence[date]) -> Self:
        """Build it with the rows of `rows` that are about `days`."""
        is_wanted = pc.is_in(rows["dt"], pa.array(days, pa.date32()))
        # a filter copies, and the rows of a pass may be all that fits in memory
        return cls(table, rows if pc.all(is_wanted, min_count=0).as_py() else rows.filter(is_wanted), days)

    @property
    def recorded_as(self) -> str:
        """Its name in partition_runs.stored_rows, e.g. contract_checks/labels, which `driftlake.lake.verification` reads."""
        if self.only.keys() - {"source"}:
            raise ValueError(f"{self.table}: rows are recorded by source, found {', '.join(self.only)}")
        return "/".join([self.table, *self.only.values()])

    def row_counts(self) -> dict[date, int]:
        """Rows of each of the days."""
        counted = self.rows["dt"].value_counts().to_pylist() if self.rows.num_rows else []
        return dict.fromkeys(self.days, 0) | {each["values"]: each["counts"] for each in counted}


@dataclass(frozen=True, slots=True)
class Addition:
    """Rows to append to `table`: of `rows`, those that sql/<query>.sql finds to be new.

    The query reads `rows` as new_rows and is given `values`, $run_id, $seen_at and $snapshot_id.
    """

    table: str
    rows: pa.Table
    query: str
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class PartitionRun:
    """What produced one partition of a stage; becomes a row of partition_runs."""

    dt: date
    stage: str
    outcome: str
    row_count: int
    reason: str | None = None
    input_fingerprint: str | None = None


@dataclass(frozen=True, slots=True)
class RunContext:
    """Who is writing: the same for every partition of a run."""

    run_id: str
    code_version: str
    config_hash: str
    started_at: datetime
    # whether days are processed although nothing has changed
    is_forced: bool = False


class Warehouse:
    """A DuckLake attached as catalog `lake` to a DuckDB connection of its own.

    Reads see the newest snapshot. Use as a context manager.
    """

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        lock: contextlib.AbstractContextManager[Any],
        renew: Callable[[], None] = lambda: None,
        *,
        is_on_server: bool = False,
        is_copying: bool = False,
    ) -> None:
        """`renew` is called before each use of the connection, whose credentials may have expired.

        `is_on_server` says that the catalog is on a PostgreSQL server, `is_copying` that small tables are copied into
        memory to read them.
        """
        self._connection = connection
        self._lock = lock
        self._renew = renew
        self._is_on_server = is_on_server
        self._is_reading = False
        self._is_copying = is_copying
        self._copies = TableCopies(connection, CATALOG)
        # counts commits that append; caches of append-only tables, e.g. of the registered versions, are valid for one
        # value
        self.append_count = 0

    @classmethod
    def open(cls, settings: Settings, *, read_only: bool = False) -> Self:
        """Attach the warehouse; a writer creates it if there is none.

        Raises WarehouseError if the catalog is missing (reader) or cannot be attached, StorageError if its data cannot be
        reached.
        """
        catalog = catalog_of(settings)
        if read_only:
            catalog.require()
        else:
            catalog.require_writable()
        lock = contextlib.nullcontext() if read_only else catalog.writing()
        data = settings.resolve(settings.warehouse.data)
        extensions = {catalog.extension: catalog.extra, "ducklake": None, **extensions_to_reach([data])}
        connection = connect(settings, threads=1, extensions=extensions)
        try:
            for setting, value in _RETRIES.items():
                connection.execute(f"set {setting} = {value}")
            s3 = S3Session(connection, [data])
            require_place("warehouse.data", data)
            if not read_only:
                _require_no_lost_catalog(catalog, data)
            is_movable = moves_with_project(settings)
            with lock:
                connection.execute(_attach_statement(catalog, data, read_only=read_only, is_movable=is_movable))
                connection.execute(f"use {CATALOG}")
                if is_movable:
                    _follow_project(connection, Path(data), read_only=read_only)
                if not read_only:
                    migrate(connection, catalog.keep_copy)
                _choose_threads(connection, settings)
        except duckdb.Error as error:
            connection.close()
            raise catalog.failure(error) from error
        except BaseException:
            connection.close()
            raise
        return cls(connection, lock, s3.renew, is_on_server=catalog.kind == "postgres", is_copying=True)

    @property
    def connection(self) -> duckdb.DuckDBPyConnection:
        """The DuckDB connection, with credentials that are valid now."""
        self._renew()
        return self._connection

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            # a reader does not check the version of the tables first, because that would cost each command some
            # hundredths of a second
            if isinstance(error, (duckdb.BinderException, duckdb.CatalogException)):
                require_current(self._connection, error)
            # DuckLake does not expect that the server ends the connection while it reads the catalog
            if self._is_on_server and isinstance(error, duckdb.InternalException):
                raise faults.described(faults.AWAY, error) from error
        finally:
            self._connection.close()

    @property
    def format_version(self) -> str:
        """The version of DuckLake's own format, which the catalog got when it was created; driftlake never changes it."""
        [version] = queries.run(self.connection, "upkeep/format_version").fetchone() or ("",)
        return str(version)

    def query(self, name: str, /, **values: Any) -> pa.Table:
        """Rows of sql/<name>.sql, tables named without catalog."""
        self._copy(queries.statement(name))
        return queries.table(self.connection, name, **values)

    def query_signals(self, name: str, sources: Iterable[str], /, **values: Any) -> pa.Table:
        """Rows of sql/<name>.sql, which selects from signals: those of some sources of sql/signals/."""
        text = schema.with_signals(queries.statement(name), sources)
        self._copy(text)
        return queries.table(self.connection, name, text, **values)

    def sql(self, statement: str, values: Sequence[Any] = ()) -> pa.Table:
        """Rows of a one-line query."""
        self._copy(statement)
        return self.connection.execute(statement, values).to_arrow_table(queries.ROWS_RESERVED)

    def write(self, work: Callable[[], Result]) -> Result:
        """Do `work` in one transaction under the lock of writers; every change of the warehouse goes through here.

        `work` is repeated if a client that does not use the lock commits a conflicting change first. Raises
        WarehouseError if that happens every time.
        """
        with self._lock:
            self._copies.drop_all()
            return self._commit(work)

    @contextlib.contextmanager
    def one_snapshot(self) -> Iterator[None]:
        """Let all queries in the block read one snapshot, whatever others commit meanwhile.

        A statement outside of such a block looks up its own snapshot, which doubles the time of a short statement. Small
        tables are copied into memory when they are first read in a block. A block inside another one uses the snapshot of
        the outer one. Nothing may be written in a block.
        """
        if self._is_reading:
            yield
            return
        self.connection.execute("begin")
        self._is_reading = True
        try:
            if self._is_copying:
                self._copies.follow(self._snapshot("current"))
            yield
            # nothing was written to the lake, but a rollback would drop the copies
            self._connection.execute("commit")
        except BaseException:
            self._roll_back()
            raise
        finally:
            self._is_reading = False

    @contextlib.contextmanager
    def without_copies(self) -> Iterator[None]:
        """Let the queries in the block read the tables of the lake, which temporary views may hide."""
        self._copies.drop_all()
        is_copying, self._is_copying = self._is_copying, False
        try:
            yield
        finally:
            self._is_copying = is_copying

    def _copy(self, statement: str) -> None:
        if self._is_reading and self._is_copying:
            self._copies.make(statement)

    @contextlib.contextmanager
    def registered(self, **relations: pa.Table) -> Iterator[None]:
        """Arrow tables visible to queries under the given names while the block runs."""
        for name, table in relations.items():
            self.connection.register(name, table)
        try:
            yield
        finally:
            for name in relations:
                self.connection.unregister(name)

    def has_rows(self, table: str, key: Mapping[str, str]) -> bool:
        """Whether a table has a row with these values."""
        condition = " and ".join(f"{queries.quote(column)} = ?" for column in key)
        query = f"select 1 from {queries.quote(table)} where {condition} limit 1"
        return bool(self.sql(query, list(key.values())).num_rows)

    def time_of_next(self, table: str, column: str, now: datetime) -> datetime:
        """The time of a new row of a table whose newest row is in force: now, or just after the newest row if the clock was set back."""
        [newest] = self.sql(f"select max({queries.quote(column)}) as newest from {queries.quote(table)}").to_pylist()
        return now if newest["newest"] is None else max(now, newest["newest"] + _TICK)

    def append_once(self, rows: Mapping[str, pa.Table], table: str, key: Mapping[str, str]) -> bool:
        """Insert rows of several tables in one transaction, unless `table` has a row with `key`. Returns whether it did."""

        def work() -> bool:
            if self.has_rows(table, key):
                return False
            for name, new in rows.items():
                self.insert(name, new)
            return True

        self.append_count += 1
        return self.write(work)

    def insert(self, table: str, rows: pa.Table, catalog: str = CATALOG) -> None:
        """Insert rows inside of `write`."""
        if rows.num_rows:
            with self.registered(new_rows=rows):
                self.connection.execute(f"insert into {catalog}.{queries.quote(table)} by name select * from new_rows")

    def append(self, table: str, rows: pa.Table) -> None:
        """Insert rows."""
        self.append_count += 1
        self.write(lambda: self.insert(table, rows))

    def replace_owned(self, rows: Mapping[str, pa.Table], emptied: Mapping[str, Mapping[str, str]]) -> None:
        """In one transaction delete the rows of tables that have the values in `emptied`, and insert others."""

        def work() -> None:
            for table, key in emptied.items():
                condition = " and ".join(f"{queries.quote(column)} = ?" for column in key)
                self.connection.execute(f"delete from {queries.quote(table)} where {condition}", list(key.values()))
            for table, new in rows.items():
                self.insert(table, new)

        self.append_count += 1
        self.write(work)

    def replace_partitions(
        self, changes: Sequence[Replacement | Addition], runs: Sequence[PartitionRun], *, context: RunContext
    ) -> None:
        """Replace days of several tables at once, add to others, and record in partition_runs what produced how many rows.

        Readers see the old rows or the new ones, never a mixture; a process killed in here leaves the old ones.
        """
        replacements = [change for change in changes if isinstance(change, Replacement)]
        for replacement in replacements:
            _require_replaceable(replacement.table)
        stored_rows = _stored_rows(replacements)

        def work() -> tuple[int, Sequence[Replacement]]:
            snapshot_id, committed_at = self._next_snapshot(), datetime.now(UTC)
            self._copies.follow(snapshot_id - 1)
            who = {"run_id": context.run_id, "seen_at": committed_at, "snapshot_id": snapshot_id}
            written = [change if isinstance(change, Replacement) else self._new_rows(change, who) for change in changes]
            run_rows = _run_rows(runs, stored_rows, context, snapshot_id, committed_at)
            written.append(Replacement("partition_runs", run_rows, []))
            for change in written:
                # a delete asks the catalog several times even if there is nothing to delete
                if change.days and self._copies.statistics[change.table].may_hold(change.days):
                    self._delete(change)
                self.insert(change.table, change.rows)
            self.connection.execute(
                f"call {CATALOG}.set_commit_message('driftlake', $message, extra_info => $run)",
                {"message": f"{runs[0].stage} {runs[0].dt} to {runs[-1].dt}", "run": context.run_id},
            )
            return snapshot_id, written

        with self._lock:
            assumed, written = self._commit(work)
            made = self._snapshot("last_committed")
            if made == assumed:
                self._change_copies(written, made)
            else:
                self._copies.drop_all()
                self._commit(lambda: self._correct_snapshot(assumed, made, context.run_id))

    def _change_copies(self, written: Sequence[Replacement], snapshot_id: int) -> None:
        """Make the changes of a commit to the copies as well, which are valid for its snapshot then."""
        for change in written:
            if self._copies.keeps(change.table, change.rows.num_rows):
                self._delete(change, "temp")
                self.insert(change.table, change.rows, "temp")
        self._copies.snapshot_id = snapshot_id

    def _next_snapshot(self) -> int:
        # No process that uses this lock commits now. If another client does, these records are added again after the commit.
        return self._snapshot("current") + 1

    def _snapshot(self, which: Literal["current", "last_committed"]) -> int:
        row = self.connection.execute(f"select id from ducklake_{which}_snapshot('{CATALOG}')").fetchone()
        return int(row[0]) if row else -1

    def _new_rows(self, addition: Addition, who: Mapping[str, Any]) -> Replacement:
        with self.registered(new_rows=addition.rows):
            return Replacement(addition.table, self.query(addition.query, **addition.values, **who), [])

    def _delete(self, replacement: Replacement, catalog: str = CATALOG) -> None:
        days = sorted(replacement.days)
        if days:
            narrowed = "".join(f" and {queries.quote(column)} = ?" for column in replacement.only)
            self.connection.execute(
                f"delete from {catalog}.{queries.quote(replacement.table)}"
                f" where dt between ? and ? and list_contains(?, dt){narrowed}",
                [days[0], days[-1], days, *replacement.only.values()],
            )

    def _commit(self, work: Callable[[], Result]) -> Result:
        """Do `work` in one transaction, again if a client that does not know our lock has changed the same rows meanwhile."""
        pauses = iter(_PAUSES)
        while True:
            try:
                with self._transaction():
                    return work()
            except duckdb.Error as error:
                if not (isinstance(error, duckdb.TransactionException) or _LOCKED in str(error)):
                    raise
                pause = next(pauses, None)
                if pause is None and is_of_machine(error):
                    raise
                if pause is None:
                    raise WarehouseError(
                        f"a commit failed {len(_PAUSES) + 1} times because another client changed the same tables: "
                        f"{error}",
                        hint="keep other clients from writing to these tables, or run the day again",
                    ) from error
                time.sleep(pause)

    def _correct_snapshot(self, assumed: int, made: int, run_id: str) -> None:
        """Add the records of a commit again under its snapshot.

        Existing records are not changed; the newest ones are in force.
        """
        for table, renewed in (("partition_runs", "committed_at"), ("input_files", "seen_at")):
            self.connection.execute(
                f"insert into {table} select * replace (?::bigint as snapshot_id, ?::timestamptz as {renewed})"
                f" from {table} where run_id = ? and snapshot_id = ?",
                [made, datetime.now(UTC), run_id, assumed],
            )

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self.connection.execute("begin")
        try:
            yield
            self.connection.execute("commit")
        except BaseException:
            self._roll_back()
            raise

    def _roll_back(self) -> None:
        """End a transaction that has failed, and drop the copies: a rollback restores those that the transaction dropped."""
        for undo in (lambda: self._connection.execute("rollback"), self._copies.drop_all):
            with contextlib.suppress(duckdb.Error):
                undo()


def open_warehouse(config: Path | None = None) -> Warehouse:
    """The warehouse of a driftlake.yaml, for reading: `with open_warehouse() as warehouse: warehouse.sql("from latest_drift")`.

    `config` is found as load_settings finds it. Raises ConfigurationError, and what Warehouse.open raises.
    """
    return Warehouse.open(load_settings(config), read_only=True)


def _require_replaceable(table: str) -> None:
    if table in schema.append_only():
        raise ValueError(f"table {table} is append-only")


def _choose_threads(connection: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    """Use the threads of the configuration once the tables are large.

    DuckLake asks its catalog some ten short questions for each statement, and each costs DuckDB more the more threads it
    has: with two a statement on a small table takes twice the time, with four three times.
    """
    [row_count] = queries.run(connection, "upkeep/row_count").fetchone() or (0,)
    if row_count > _ROWS_OF_ONE_THREAD:
        connection.execute(f"set threads = {settings.compute.threads}")


def _attach_statement(catalog: Catalog, data: str, *, read_only: bool, is_movable: bool) -> str:
    options = catalog.options(read_only=read_only)
    if read_only:
        options.append("READ_ONLY")
    if is_movable or not read_only:
        options.append(f"DATA_PATH {queries.literal(data)}")
    if is_movable:
        # the catalog names the folder in which the project was when it was last written
        options.append("OVERRIDE_DATA_PATH true")
    return f"attach {queries.literal(catalog.address)} as {CATALOG} ({', '.join(options)})"


def _follow_project(connection: duckdb.DuckDBPyConnection, data: Path, *, read_only: bool) -> None:
    """Check that the data files of a project that was moved came along; a writer records their folder for other clients.

    Raises WarehouseError if they did not: rows would be written to a place that lacks the earlier ones.
    """
    [place, file_name] = queries.run(connection, "upkeep/recorded_place").fetchone() or ("", None)
    if place == f"{data}/":
        return
    if file_name and not (data / file_name).is_file():
        raise WarehouseError(
            f"the data files of the warehouse are not in {data}, where warehouse.data says they are; they were in {place}",
            hint=f"move them to {data}, or correct warehouse.data",
        )
    if not read_only:
        queries.run(connection, "upkeep/record_place", place=f"{data}/")


def _require_no_lost_catalog(catalog: Catalog, data: str) -> None:
    """Raises WarehouseError if a new catalog would be made beside the data files of another: maintenance would delete them."""
    if catalog.kind == "sqlite" and "://" not in data and catalog.is_missing() and any(Path(data).rglob("*.parquet")):
        raise WarehouseError(
            f"there is no catalog {catalog.name}, or it is empty, but {data} has data files of a warehouse",
            hint="restore the catalog from a backup, or move the data files away to begin with a new warehouse",
        )


def _stored_rows(replacements: Sequence[Replacement]) -> dict[date, dict[str, int]]:
    """Rows of each day in each of the replaced tables after the commit."""
    stored: dict[date, dict[str, int]] = {}
    for replacement in replacements:
        for day, count in replacement.row_counts().items():
            stored.setdefault(day, {})[replacement.recorded_as] = count
    return stored


def _run_rows(
    runs: Sequence[PartitionRun],
    stored_rows: Mapping[date, Mapping[str, int]],
    context: RunContext,
    snapshot_id: int,
    committed_at: datetime,
) -> pa.Table:
    return pa.Table.from_pylist(
        [
            {
                "dt": run.dt,
                "stage": run.stage,
                "run_id": context.run_id,
                "outcome": run.outcome,
                "reason": run.reason,
                "row_count": run.row_count,
                "code_version": context.code_version,
                "config_hash": context.config_hash,
                "input_fingerprint": run.input_fingerprint,
                "snapshot_id": snapshot_id,
                "started_at": context.started_at,
                "committed_at": committed_at,
                "stored_rows": list(stored_rows.get(run.dt, {}).items()),
            }
            for run in runs
        ],
        schema=schema.arrow_schema("partition_runs"),
    )
