"""Answers to SQL on the warehouse: as a table, CSV, JSON or Parquet, or in an interactive shell.

Not here: attaching the warehouse (`driftlake.lake.warehouse`).
"""

from __future__ import annotations

import shutil
import sys
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO

import duckdb
import pyarrow as pa

from driftlake.errors import WarehouseError
from driftlake.lake import schema
from driftlake.lake.queries import literal, quote
from driftlake.lake.warehouse import Warehouse
from driftlake.vocabulary.wording import printable

_PROMPT, _CONTINUATION = "driftlake> ", "      ...> "
_SHOWN_ROWS = 200
_UNKNOWN = "`show tables` lists the tables; docs/tables.md explains them"
_EXPIRED = "old snapshots expire after warehouse.snapshot_retention_days; `from ducklake_snapshots('lake')` lists the remaining ones"
_FILE_WIDTH = 10_000


def answer(warehouse: Warehouse, query: str) -> pa.Table:
    """Rows of a query. Raises WarehouseError with DuckDB's explanation if it is wrong."""
    if not query.strip(" \n\t;"):
        raise WarehouseError("there is no query", hint="try `select * from latest_drift`")
    try:
        for macro in schema.warehouse_macros():
            warehouse.sql(macro)
        return warehouse.sql(query)
    except duckdb.Error as error:
        raise WarehouseError(str(error), hint=_EXPIRED if "No snapshot found" in str(error) else _UNKNOWN) from error


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
        described = connection.execute("describe answer").fetchall()
        selected = [_as_json(name, kind) if output == "json" else quote(name) for name, kind, *_ in described]
        written = Path(folder, "answer")
        options = "format csv, header" if output == "csv" else f"format {output}"
        connection.execute(f"copy (select {', '.join(selected)} from answer) to {literal(str(written))} ({options})")
        with written.open("rb") as source:
            shutil.copyfileobj(source, target)


def _as_json(name: str, kind: str) -> str:
    """SQL of a column in JSON, which has no nan and no infinity."""
    column = quote(name)
    return f"case when isfinite({column}) then {column} end as {column}" if kind in {"DOUBLE", "FLOAT"} else column


def interact(warehouse: Warehouse) -> None:
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
            _answer_aloud(warehouse, "\n".join(lines))
            lines = []
    if "".join(lines).strip():
        _answer_aloud(warehouse, "\n".join(lines))


def _answer_aloud(warehouse: Warehouse, query: str) -> None:
    try:
        print_table(answer(warehouse, query))
    except WarehouseError as error:
        print(f"error: {error.message}", file=sys.stderr)
