"""Brings the catalog of a warehouse to the tables and views that this version of driftlake declares.

Tables, columns and views are added, in one transaction; a change that would affect stored rows is refused, and so is a
warehouse that a newer release has upgraded. Not here: the declarations (`driftlake.lake.schema`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import duckdb

from driftlake.errors import WarehouseError
from driftlake.lake import queries, schema
from driftlake.lake.queries import literal, quote

# What `shape` was in each version of the tables, oldest first: the number of a version is its place, from 1.
VERSIONS = ("7e6ec6fcf32aef5d", "c2b1f1717345d493", "2179a233bddad5af")


def migrate(connection: duckdb.DuckDBPyConnection, keep_copy: Callable[[int], None]) -> None:
    """Create missing tables and columns and all views, unless the catalog is as declared already.

    The caller holds the write lock. `keep_copy` is called with the version of the tables before they change. Raises WarehouseError if stored rows would have to change, or a newer release wrote
    them.
    """
    wanted = declared_fingerprint()
    applied_version, applied = _applied(connection)
    if applied_version > len(VERSIONS):
        raise WarehouseError(
            f"a newer release of driftlake has upgraded the warehouse to version {applied_version} of its tables; this one"
            f" knows versions up to {len(VERSIONS)}",
            hint="install that release again, or restore the backup that was made before the upgrade to another place",
        )
    if applied == wanted:
        return
    if applied_version < len(VERSIONS) and queries.run(connection, "upkeep/has_tables").fetchone() == (True,):
        keep_copy(applied_version)
    connection.execute("begin")
    try:
        with_statistics = queries.run(connection, "upkeep/tables_with_statistics").fetchall()
        for table in schema.tables():
            _bring_up(connection, table)
            if (table.name,) not in with_statistics:
                _begin_statistics(connection, table)
        for view in schema.views_in_order():
            connection.execute(view.ddl)
            connection.execute(f"comment on view {quote(view.name)} is {literal(view.purpose)}")
        connection.execute(
            # after the newest row, also if the clock was set back
            "insert into schema_versions by name select greatest(now(), max(applied_at) + interval 1 microsecond) as applied_at, ? as fingerprint, ? as version from schema_versions",
            [wanted, len(VERSIONS)],
        )
        connection.execute("commit")
    except (duckdb.Error, WarehouseError):
        connection.execute("rollback")
        raise


def declared_fingerprint() -> str:
    """SHA-256 over every declaration."""
    declarations = [*(table.ddl for table in schema.tables()), *(view.ddl for view in schema.views())]
    return hashlib.sha256("".join(declarations).encode()).hexdigest()


def require_current(connection: duckdb.DuckDBPyConnection, error: Exception) -> None:
    """Raises WarehouseError if a query failed because the warehouse is not the one of this release."""
    version, applied = _applied(connection)
    if applied != declared_fingerprint():
        upgrade = "run `driftlake backup` and then any command that writes, e.g. `driftlake verify`, which upgrades it"
        raise WarehouseError(
            f"the warehouse has version {version} of the tables and views, this release of driftlake needs {len(VERSIONS)}:"
            f" {str(error).partition(chr(10))[0]}",
            hint=f"{upgrade}; rows do not change"
            if version <= len(VERSIONS)
            else "install the newer release of driftlake",
        ) from error


def shape() -> str:
    """Short hash over the names and types of all columns: when it changes, append it to VERSIONS."""
    columns = [
        (table.name, column.name, column.type, column.is_required)
        for table in schema.tables()
        for column in table.columns
    ]
    return hashlib.sha256(repr(columns).encode()).hexdigest()[:16]


def version_of(connection: duckdb.DuckDBPyConnection) -> int:
    """The version of the tables of a warehouse; 0 if it is from before there were numbers."""
    return _applied(connection)[0]


def _applied(connection: duckdb.DuckDBPyConnection) -> tuple[int, str | None]:
    """Version and fingerprint to which a warehouse was last upgraded."""
    try:
        # an old warehouse has no version; without the instant, for which pyarrow imports pandas
        newest_first = "select * exclude (applied_at) from schema_versions order by applied_at desc"
        rows = connection.execute(newest_first).to_arrow_table().to_pylist()
    except duckdb.CatalogException:
        return 0, None
    newest: dict[str, Any] = max(rows, key=lambda row: row.get("version") or 0, default={})
    return newest.get("version") or 0, newest.get("fingerprint")


def _bring_up(connection: duckdb.DuckDBPyConnection, table: schema.Table) -> None:
    connection.execute(table.ddl)
    stored = {name: kind for name, kind, *_ in connection.execute(f"describe {quote(table.name)}").fetchall()}
    for column in table.columns:
        if column.name in stored:
            continue
        if column.is_required:
            raise WarehouseError(
                f"table {table.name} lacks column {column.name}, which stored rows would need",
                hint="back up the warehouse, then backfill into a new one: set warehouse.catalog and warehouse.data",
            )
        connection.execute(f"alter table {quote(table.name)} add column {quote(column.name)} {column.type}")
    connection.execute(f"comment on table {quote(table.name)} is {literal(table.purpose)}")
    for column in table.columns:
        name = f"{quote(table.name)}.{quote(column.name)}"
        connection.execute(f"comment on column {name} is {literal(column.meaning)}")


def _begin_statistics(connection: duckdb.DuckDBPyConnection, table: schema.Table) -> None:
    """Make DuckLake keep statistics of an empty table, by inserting a row and deleting it before the commit.

    DuckLake 1.0 caches the statistics of a table, but not their absence: without any, it queries the catalog for each
    column of each statement. A statement on such a table took 35 ms where one on a table with statistics takes 10.
    """
    if connection.execute(f"select 1 from {quote(table.name)} limit 1").fetchone():
        return
    values = [f"{_value(column)} as {quote(column.name)}" for column in table.columns]
    connection.execute(f"insert into {quote(table.name)} by name select {', '.join(values)}")
    connection.execute(f"delete from {quote(table.name)}")


def _value(column: schema.Column) -> str:
    """SQL of any valid value of the column."""
    if not column.is_required:
        return "null"
    if column.type.endswith("[]"):
        return "[]"
    if column.type.startswith("map("):
        return "map {}"
    return "'epoch'" if column.type.startswith(("date", "timestamp")) else "'0'"
