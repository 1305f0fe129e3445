"""The tables and views of the warehouse, read from their DDL in sql/tables and sql/views.

The DDL is the only source: the comments in the catalog, docs/tables.md and the Arrow schemas of stored rows are derived
from it. Not here: rows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from graphlib import TopologicalSorter

import duckdb
import pyarrow as pa

from driftlake.lake import queries

# The view that is made of one file for each source of signals.
_SIGNALS_VIEW = "sli_history"

_COLUMN = re.compile(r"^    (?P<name>\w+) (?P<type>[a-z \[\](),]+?)(?P<required> not null)?,? -- (?P<meaning>.+)$")
_RELATION = re.compile(r'\b(?:from|join)\s+"?(\w+)', re.IGNORECASE)
# Arrow's type of a column, as DuckDB gives it in a result; that of a list is derived from that of its elements.
_ARROW_TYPES = {
    "date": pa.date32(),
    "varchar": pa.string(),
    "integer": pa.int32(),
    "bigint": pa.int64(),
    "ubigint": pa.uint64(),
    "double": pa.float64(),
    "boolean": pa.bool_(),
    "timestamp": pa.timestamp("us"),
    "timestamp with time zone": pa.timestamp("us", "UTC"),
    "map(varchar, bigint)": pa.map_(pa.string(), pa.int64()),
}


@dataclass(frozen=True, slots=True)
class Column:
    """A column as the DDL declares and explains it."""

    name: str
    type: str
    is_required: bool
    meaning: str


@dataclass(frozen=True, slots=True)
class Table:
    """A table: `ddl` creates it, the other attributes describe it."""

    name: str
    purpose: str
    grain: str
    columns: tuple[Column, ...]
    ddl: str

    @property
    def key(self) -> tuple[str, ...]:
        """The columns of the grain: no two rows have the same values in all of them."""
        return tuple(self.grain.split(", "))


@dataclass(frozen=True, slots=True)
class View:
    """A view: `ddl` creates it, `purpose` is the question it answers."""

    name: str
    purpose: str
    ddl: str

    @property
    def reads(self) -> frozenset[str]:
        """Names of the tables and other views that it reads, according to DuckDB's parser, without its own CTEs."""
        _, _, query = self.ddl.partition(f" view {self.name} as\n")
        return frozenset(duckdb.get_table_names(query))


@cache
def tables() -> tuple[Table, ...]:
    """Every table, by name."""
    return tuple(_read_table(name) for name in queries.names("tables"))


@cache
def arrow_schema(table_name: str) -> pa.Schema:
    """The columns of a table, in the order and with the types in which DuckDB gives them as Arrow."""
    columns = _read_table(table_name).columns
    return pa.schema([(column.name, _arrow_type(column.type)) for column in columns])


def columns_ddl(table_name: str) -> str:
    """The columns of a table with their types and constraints, for a table with the same columns."""
    return ", ".join(
        f"{queries.quote(column.name)} {column.type}{' not null' if column.is_required else ''}"
        for column in _read_table(table_name).columns
    )


def with_every_column(rows: pa.Table, table_name: str) -> pa.Table:
    """Rows of a table with all of its columns; those that are not given are null."""
    schema = arrow_schema(table_name)
    columns = [
        rows[field.name].cast(field.type) if field.name in rows.column_names else pa.nulls(rows.num_rows, field.type)
        for field in schema
    ]
    return pa.table(columns, schema=schema)


def _arrow_type(declared: str) -> pa.DataType:
    if declared.endswith("[]"):
        return pa.list_(_arrow_type(declared.removesuffix("[]")))
    return _ARROW_TYPES[declared]


@cache
def append_only() -> frozenset[str]:
    """Names of the tables whose rows are never changed or deleted: their purpose says so."""
    return frozenset(table.name for table in tables() if "Append-only" in table.purpose)


@cache
def views() -> tuple[View, ...]:
    """Every view, by name."""
    ddl = {name: queries.statement(f"views/{name}") for name in queries.names("views")}
    ddl[_SIGNALS_VIEW] = with_signals(ddl[_SIGNALS_VIEW], queries.names("signals"))
    return tuple(View(name, " ".join(_header(text)), text) for name, text in ddl.items())


@cache
def views_in_order() -> tuple[View, ...]:
    """Every view, in an order in which they can be created: a view comes after the views that it reads."""
    found = {view.name: view for view in views()}
    order = TopologicalSorter({name: sorted(view.reads & found.keys()) for name, view in found.items()})
    return tuple(found[name] for name in order.static_order())


def with_signals(sql: str, sources: Iterable[str]) -> str:
    """The statement with `signals` replaced by the queries of some sources of sql/signals/.

    The sources that are not named are not read: each has several tables, and their whole history.
    """
    texts = (queries.statement(f"signals/{name}").rstrip().removesuffix(";") for name in sorted(sources))
    # in parentheses: one may begin with steps of its own
    union = "\nunion all\n".join(f"(\n{text}\n)" for text in texts)
    return sql.replace("from signals", f"from (\n{union}\n)")


@lru_cache(1_000)
def tables_read(statement: str) -> frozenset[str]:
    """Names of the tables that a statement reads, directly or through views.

    Searched in the text, because DuckDB's parser takes as long as a short query, and finds no tables in a macro, whose
    parameters it does not know.
    """
    named = frozenset(_RELATION.findall(statement))
    of_views = (tables_read(view.ddl) for view in views() if view.name in named)
    return named.intersection(table.name for table in tables()).union(*of_views)


def session_macros() -> tuple[str, ...]:
    """Statements that create the macros of sql/macros that need no warehouse."""
    return tuple(text for text in _macros() if not tables_read(text))


def warehouse_macros() -> tuple[str, ...]:
    """Statements that create the macros of sql/macros that read the tables of a warehouse."""
    return tuple(text for text in _macros() if tables_read(text))


def _macros() -> Iterator[str]:
    return (queries.statement(f"macros/{name}") for name in queries.names("macros"))


@cache
def _read_table(name: str) -> Table:
    ddl = queries.statement(f"tables/{name}")
    purpose, grain = _header(ddl)
    columns = tuple(
        Column(match["name"], match["type"], bool(match["required"]), match["meaning"])
        for line in ddl.splitlines()
        if (match := _COLUMN.match(line))
    )
    return Table(name, purpose, grain.removeprefix("grain: "), columns, ddl)


def _header(sql: str) -> list[str]:
    lines = []
    for line in sql.splitlines():
        if not line.startswith("--"):
            break
        lines.append(line.removeprefix("--").strip())
    return lines
