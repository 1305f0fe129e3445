"""The SQL of sql/: found by name, its parameters checked before anything runs.

Not here: connections, and SQL whose text depends on data.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import duckdb
import pyarrow as pa

from driftlake.lake import project_files

# DuckDB reserves memory for this many rows of a result in advance: by default a million, 16 MB for each text column.
ROWS_RESERVED = 20_000


@cache
def statement(name: str) -> str:
    """Text of sql/<name>.sql."""
    return project_files.folder().joinpath("sql", f"{name}.sql").read_text()


def names(folder: str) -> list[str]:
    """Names of the files of sql/<folder>, without their suffix."""
    found = project_files.folder().joinpath("sql", folder).iterdir()
    return sorted(file.name.removesuffix(".sql") for file in found if file.name.endswith(".sql"))


@cache
def parameters(name: str) -> frozenset[str]:
    """Names of the $parameters that sql/<name>.sql binds."""
    [parsed] = duckdb.extract_statements(statement(name))
    return frozenset(parsed.named_parameters)


def run(
    connection: duckdb.DuckDBPyConnection, name: str, text: str | None = None, /, **values: Any
) -> duckdb.DuckDBPyConnection:
    """Execute sql/<name>.sql, or the `text` that was made of it, with `values` bound.

    Raises ValueError if a parameter is missing or unused.
    """
    if parameters(name) != values.keys():
        missing, unused = sorted(parameters(name) - values.keys()), sorted(values.keys() - parameters(name))
        raise ValueError(f"sql/{name}.sql: missing parameters {missing}, unused parameters {unused}")
    return connection.execute(text or statement(name), values)


def table(connection: duckdb.DuckDBPyConnection, name: str, text: str | None = None, /, **values: Any) -> pa.Table:
    """Result of `run`; DuckDB reserves only the memory of a small result in advance."""
    return run(connection, name, text, **values).to_arrow_table(ROWS_RESERVED)


def quote(identifier: str) -> str:
    """`identifier` as a quoted SQL name."""
    return '"' + identifier.replace('"', '""') + '"'


def literal(text: str) -> str:
    """`text` as an SQL string, for the few statements that cannot bind (ATTACH, CREATE VIEW)."""
    return "'" + text.replace("'", "''") + "'"
