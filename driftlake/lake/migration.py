"""Brings the catalog of a warehouse to the tables and views that this version of driftlake declares.

Tables, columns and views are added; a change that would affect stored rows is refused. Not here: the declarations
(`driftlake.lake.schema`).
"""

from __future__ import annotations

import hashlib

import duckdb

from driftlake.errors import WarehouseError
from driftlake.lake import queries, schema
from driftlake.lake.queries import literal, quote


def migrate(connection: duckdb.DuckDBPyConnection) -> None:
    """Create missing tables and columns and all views, unless the catalog is as declared already.

    The caller holds the write lock. Raises WarehouseError if stored rows would have to change.
    """
    wanted = declared_fingerprint()
    if _applied_fingerprint(connection) == wanted:
        return
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
        connection.execute("insert into schema_versions values (now(), ?)", [wanted])
        connection.execute("commit")
    except (duckdb.Error, WarehouseError):
        connection.execute("rollback")
        raise


def declared_fingerprint() -> str:
    """SHA-256 over every declaration."""
    declarations = [*(table.ddl for table in schema.tables()), *(view.ddl for view in schema.views())]
    return hashlib.sha256("".join(declarations).encode()).hexdigest()


def _applied_fingerprint(connection: duckdb.DuckDBPyConnection) -> str | None:
    try:
        row = connection.execute("select fingerprint from schema_versions order by applied_at desc limit 1").fetchone()
    except duckdb.CatalogException:
        return None
    return str(row[0]) if row else None


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
    return "'epoch'" if column.type.startswith(("date", "timestamp")) else "'0'"
