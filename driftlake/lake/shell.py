"""Answers to SQL on the warehouse: as a table, CSV, JSON or Parquet, or in an interactive shell.

Not here: attaching the warehouse (`driftlake.lake.warehouse`).
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from itertools import chain, count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO

import duckdb
import pyarrow as pa

from driftlake.config import Settings
from driftlake.errors import WarehouseError
from driftlake.lake import schema
from driftlake.lake.answer_types import FOR_ARROW, FOR_JSON, FOR_PARQUET, converted
from driftlake.lake.faults import explained
from driftlake.lake.queries import literal, quote
from driftlake.lake.restricted_sql import require_query, restrict
from driftlake.lake.warehouse import Warehouse
from driftlake.vocabulary.wording import printable

_PROMPT, _CONTINUATION = "driftlake> ", "      ...> "
_SHOWN_ROWS = 200
_UNKNOWN = "`show tables` lists the tables; docs/tables.md explains them"
_EXPIRED = "old snapshots expire after warehouse.snapshot_retention_days; `from ducklake_snapshots('lake')` lists the remaining ones"
_FILE_WIDTH = 10_000


@contextmanager
def opened(settings: Settings, *, is_restricted: bool = True) -> Iterator[Warehouse]:
    """The warehouse for queries of a user: read-only and, if restricted, without other files and the network."""
    with Warehouse.open(settings, read_only=True) as warehouse:
        if is_restricted:
            restrict(warehouse.connection, settings.resolve(settings.warehouse.data))
        yield warehouse


def answer(warehouse: Warehouse, query: str, *, is_restricted: bool = True) -> pa.Table:
    """Rows of a query. Raises WarehouseError with DuckDB's explanation if it is wrong, or if it is not allowed."""
    if not query.strip(" \n\t;"):
        raise WarehouseError("there is no query", hint="try `select * from latest_drift`")
    try:
        for macro in schema.warehouse_macros():
            warehouse.sql(macro)
        if is_restricted:
            require_query(warehouse.connection, query)
        return as_arrow(warehouse.connection, query)
    except duckdb.Error as error:
        if fault := explained(error):
            raise fault from error
        raise WarehouseError(str(error), hint=_EXPIRED if "No snapshot found" in str(error) else _UNKNOWN) from error


def as_arrow(connection: duckdb.DuckDBPyConnection, query: str) -> pa.Table:
    """Rows of a query, with values of types that Arrow does not have as text."""
    found = connection.sql(query)
    if found is None:
        return pa.table({"done": pa.array([True])})
    columns = [converted(f"#{place}", kind, FOR_ARROW) for place, kind in enumerate(found.types, start=1)]
    names = _distinct(found.columns)
    if any(not column.startswith("#") for column in columns) or names != found.columns:
        named = zip(columns, names, strict=True)
        found = found.project(", ".join(f"{column} as {quote(name)}" for column, name in named))
    return found.to_arrow_table()


def _distinct(names: Sequence[str]) -> list[str]:
    """Names of columns, made distinct: id, id_1."""
    found: dict[str, str] = {}
    for name in names:
        numbered = (f"{name}_{number}" for number in count(1))
        free = next(each for each in chain([name], numbered) if each.lower() not in found)
        found[free.lower()] = free
    return list(found.values())


def print_table(rows: pa.Table) -> None:
    """Rows as DuckDB draws them, at most 200; columns are left out only where a terminal is too narrow for them."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else _FILE_WIDTH
    with redirect_stdout(StringIO()) as drawn:
        duckdb.from_arrow(rows).show(max_rows=_SHOWN_ROWS, max_width=width)
    print(printable(drawn.getvalue()), end="")


def write_rows(rows: pa.Table, output: str, target: IO[bytes]) -> None:
    """Write rows as csv, json (an object per line), parquet or, into a file, a table."""
    if output == "table":
        target.write(str(duckdb.from_arrow(rows)).encode())
        return
    with duckdb.connect() as connection, TemporaryDirectory() as folder:
        connection.execute("set TimeZone = 'UTC'")
        connection.register("answer", rows)
        answered = connection.table("answer")
        conversions = {"json": FOR_JSON, "parquet": FOR_PARQUET}.get(output, {})
        selected = [
            f"{converted(quote(name), kind, conversions)} as {quote(name)}"
            for name, kind in zip(answered.columns, answered.types, strict=True)
        ]
        written = Path(folder, "answer")
        options = "format csv, header" if output == "csv" else f"format {output}"
        connection.execute(f"copy (select {', '.join(selected)} from answer) to {literal(str(written))} ({options})")
        with written.open("rb") as source:
            shutil.copyfileobj(source, target)


def interact(warehouse: Warehouse, *, is_restricted: bool) -> None:
    """Read statements that end with ; until end of input."""
    if sys.stdin.isatty():
        import readline  # noqa: F401  # gives input() history and editing

        print("Statements end with ; and `show tables;` lists the tables. Ctrl-D leaves.", file=sys.stderr)
    lines: list[str] = []
    while True:
        try:
            lines.append(input(_CONTINUATION if lines else _PROMPT) if sys.stdin.isatty() else input())
        except EOFError:
            break
        if lines[-1].rstrip().endswith(";"):
            _print_answer(warehouse, "\n".join(lines), is_restricted=is_restricted)
            lines = []
    if "".join(lines).strip():
        _print_answer(warehouse, "\n".join(lines), is_restricted=is_restricted)


def _print_answer(warehouse: Warehouse, query: str, *, is_restricted: bool) -> None:
    try:
        print_table(answer(warehouse, query, is_restricted=is_restricted))
    except WarehouseError as error:
        print(f"error: {printable(error.message)}", file=sys.stderr)
