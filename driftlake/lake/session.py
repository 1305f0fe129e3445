"""DuckDB connections: S3 where it is read, memory, and the SQL macros of sql/macros.

Not here: the warehouse catalog (`driftlake.lake.warehouse`) and what is read through a session.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import duckdb
import pyarrow as pa

from driftlake.config import ComputeSettings, Settings
from driftlake.lake import queries, schema
from driftlake.lake.duckdb_extensions import connect_with
from driftlake.lake.s3 import S3Session, extensions_to_reach

# DuckDB gives a thread 122,880 rows at a time, and a short statement takes longer the more threads there are.
_ROWS_WORTH_THREADS = 500_000


def open_session(
    settings: Settings, paths: Iterable[str] = (), *, row_count: int | None = None
) -> duckdb.DuckDBPyConnection:
    """Open an in-memory DuckDB for work on the configured inputs and on files at `paths`; `row_count` of them, if known."""
    locations = [*settings.input_locations.values(), *paths]
    threads = 1 if row_count is not None and row_count < _ROWS_WORTH_THREADS else None
    connection = connect(settings, threads=threads, extensions=extensions_to_reach(locations))
    S3Session(connection, locations)
    return connection


def connect(
    settings: Settings, *, threads: int | None = None, extensions: Mapping[str, str | None] | None = None
) -> duckdb.DuckDBPyConnection:
    """An in-memory DuckDB with our SQL macros and the configured limits on memory and threads."""
    return in_memory(settings.compute, threads=threads, extensions=extensions)


def in_memory(
    compute: ComputeSettings, *, threads: int | None = None, extensions: Mapping[str, str | None] | None = None
) -> duckdb.DuckDBPyConnection:
    """The same for a command that needs no configuration."""
    connection = connect_with(extensions or {})
    connection.execute(f"set threads = {threads or compute.threads}")
    connection.execute(f"set memory_limit = {queries.literal(compute.memory_limit)}")
    connection.execute("set TimeZone = 'UTC'")
    # stdout is for rows
    connection.execute("set enable_progress_bar = false")
    for macro in schema.session_macros():
        connection.execute(macro)
    return connection


def create_table(connection: duckdb.DuckDBPyConnection, name: str, rows: pa.Table) -> None:
    """Copy Arrow rows into a table, which cursors of the session see too."""
    connection.register("arrow_rows", rows)
    connection.execute(f"create or replace table {queries.quote(name)} as select * from arrow_rows")
    connection.unregister("arrow_rows")
