"""DuckDB connections: extensions from their wheels, S3, memory, and the SQL macros of sql/macros.

Not here: the warehouse catalog (warehouse.py) and what is read through a session.
"""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from urllib.parse import urlsplit

import duckdb
import pyarrow as pa

from driftlake import queries, schema
from driftlake.config import Settings
from driftlake.errors import WarehouseError

# DuckDB's name of a secret's part, and the variable of the usual AWS environment that holds it.
_S3_SECRET = {
    "key_id": "AWS_ACCESS_KEY_ID",
    "secret": "AWS_SECRET_ACCESS_KEY",
    "session_token": "AWS_SESSION_TOKEN",
    "region": "AWS_REGION",
}


def open_session(settings: Settings) -> duckdb.DuckDBPyConnection:
    """An in-memory DuckDB for one piece of work on input files."""
    connection = connect(settings)
    if settings.reads_s3:
        allow_s3(connection)
    return connection


def connect(settings: Settings) -> duckdb.DuckDBPyConnection:
    """An in-memory DuckDB with our SQL macros that uses no more of the machine than the configuration allows."""
    connection = duckdb.connect()
    connection.execute(f"set threads = {settings.compute.threads}")
    connection.execute(f"set memory_limit = {queries.literal(settings.compute.memory_limit)}")
    connection.execute("set TimeZone = 'UTC'")
    for macro in schema.session_macros():
        connection.execute(macro)
    return connection


def load_extension(connection: duckdb.DuckDBPyConnection, name: str) -> None:
    """Load a DuckDB extension from its wheel, or from where INSTALL put it."""
    package = importlib.util.find_spec(f"duckdb_extension_{name}")
    found = sorted(Path(package.origin).parent.rglob("*.duckdb_extension")) if package and package.origin else []
    try:
        if found:
            connection.execute(f"load {queries.literal(str(found[0]))}")
        else:
            connection.execute(f"install {name}")
            connection.execute(f"load {name}")
    except duckdb.Error as error:
        raise WarehouseError(
            f"DuckDB extension {name} cannot be loaded: {error}",
            hint=f"install the package duckdb-extension-{name.replace('_', '-')}=={duckdb.__version__}",
        ) from error


def allow_s3(connection: duckdb.DuckDBPyConnection) -> None:
    """Let a connection read and write s3:// with the credentials and endpoint of the AWS environment variables."""
    load_extension(connection, "httpfs")
    parts = {part: os.environ[variable] for part, variable in _S3_SECRET.items() if variable in os.environ}
    if endpoint := os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL"):
        address = urlsplit(endpoint)
        parts |= {"endpoint": address.netloc, "url_style": "path"}
        parts["use_ssl"] = "true" if address.scheme == "https" else "false"
    listed = "".join(f", {part} {queries.literal(value)}" for part, value in parts.items())
    connection.execute(f"create or replace secret driftlake (type s3{listed})")


def create_table(connection: duckdb.DuckDBPyConnection, name: str, rows: pa.Table) -> None:
    """Copy Arrow rows into a table, which cursors of the session see too."""
    connection.register("arrow_rows", rows)
    connection.execute(f"create or replace table {queries.quote(name)} as select * from arrow_rows")
    connection.unregister("arrow_rows")
