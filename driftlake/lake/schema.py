"""The tables and views of the warehouse, read from their DDL in sql/tables and sql/views.

The DDL is the only source: its comments become the catalog's comments and docs/tables.md.
Not here: rows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from graphlib import TopologicalSorter

from driftlake.lake import queries

_COLUMN = re.compile(r"^    (?P<name>\w+) (?P<type>[a-z \[\](),]+?)(?P<required> not null)?,? -- (?P<meaning>.+)$")


@dataclass(frozen=True, slots=True)
class Column:
    """A column as the DDL declares and explains it."""

    name: str
    type: str
    is_required: bool
    meaning: str


@dataclass(frozen=True, slots=True)
class Table:
    """A table: `ddl` creates it, the rest explains it."""

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
        """Names after `from` and `join`: tables, other views, and its own named steps."""
        code = re.sub(r"--[^\n]*", "", self.ddl)
        return frozenset(re.findall(r"\b(?:from|join)\s+(\w+)", code)) - {self.name}


@cache
def tables() -> tuple[Table, ...]:
    """Every table, by name."""
    return tuple(_read_table(name) for name in queries.names("tables"))


@cache
def append_only() -> frozenset[str]:
    """Names of the tables whose rows are never changed or deleted: their purpose says so."""
    return frozenset(table.name for table in tables() if "Append-only" in table.purpose)


@cache
def views() -> tuple[View, ...]:
    """Every view, those that others read first: a view can only be created on what is there."""
    ddl = {name: queries.statement(f"views/{name}") for name in queries.names("views")}
    found = {name: View(name, " ".join(_header(text)), text) for name, text in ddl.items()}
    order = TopologicalSorter({name: sorted(view.reads & found.keys()) for name, view in found.items()})
    return tuple(found[name] for name in order.static_order())


def session_macros() -> tuple[str, ...]:
    """Statements that create the macros of sql/macros that need no warehouse."""
    return tuple(text for text in _macros() if not _reads_tables(text))


def warehouse_macros() -> tuple[str, ...]:
    """Statements that create the macros of sql/macros that read the tables of a warehouse."""
    return tuple(text for text in _macros() if _reads_tables(text))


def _macros() -> Iterator[str]:
    return (queries.statement(f"macros/{name}") for name in queries.names("macros"))


def _reads_tables(sql: str) -> bool:
    names = "|".join(table.name for table in tables())
    return bool(re.search(rf"\b(from|join) ({names})\b", sql))


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
