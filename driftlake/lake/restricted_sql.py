"""Restricts the queries of users: unless they are unrestricted, they may read the warehouse and do nothing else.

DuckDB's lock on files and the network leaves two gaps, so each query is parsed as well. The folder of the data must be
readable, which makes it writable for COPY; and functions of extensions, such as sqlite_scan, open files without asking
DuckDB. Not here: running the query (`driftlake.lake.shell`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import duckdb

from driftlake.errors import WarehouseError
from driftlake.lake import schema
from driftlake.lake.queries import literal

# In this order, because the last one forbids changing the others.
_LOCKED_SETTINGS = (
    # a Python variable must not be read as a table
    "python_enable_replacements = false",
    "autoinstall_known_extensions = false",
    "autoload_known_extensions = false",
    "enable_external_access = false",
    "lock_configuration = true",
)
# Functions that return rows and neither write nor open what DuckDB does not guard.
_HARMLESS = re.compile(
    r"range|generate_series|unnest|repeat|repeat_row|summary|histogram|histogram_values|json_each|json_tree|glob|seq_scan"
    r"|duckdb_\w+|pragma_\w+|read_\w+|parquet_\w+|sniff_csv|sql_auto_complete"
    r"|(ducklake_)?(snapshots|current_snapshot|last_committed_snapshot|table_info|list_files|options|settings)"
    r"|(ducklake_)?table_(changes|insertions|deletions)"
)
# Matches no comment, quote or bracket of the query, so that exactly the explained query is parsed.
_EXPLAIN = re.compile(
    r"\s*explain(?:\s+analyze)?(?:\s*\([\w\s,]*\))?\s+(?=(?:select|from|with|values|pivot)\b)", re.IGNORECASE
)
_MACRO = re.compile(r"\bmacro\s+(\w+)", re.IGNORECASE)
_HINT = (
    "`driftlake sql --unrestricted` also runs other statements, with the rights of your user; tables of the warehouse "
    "cannot be changed"
)


def restrict(connection: duckdb.DuckDBPyConnection, data: str) -> None:
    """Lock a connection, so that it reads only files of the warehouse and reaches only the network addresses of its places."""
    connection.execute(f"set allowed_directories = [{literal(data.rstrip('/') + '/')}]")
    for setting in _LOCKED_SETTINGS:
        connection.execute(f"set {setting}")


def require_query(connection: duckdb.DuckDBPyConnection, text: str) -> None:
    """Raises WarehouseError if `text` is not a query, or calls a function that may write or read outside of the warehouse."""
    for statement in duckdb.extract_statements(text):
        query = statement.query
        if statement.type == duckdb.StatementType.EXPLAIN:
            if not (explain := _EXPLAIN.match(query)):
                raise WarehouseError("EXPLAIN must stand directly before a query, without a comment", hint=_HINT)
            query = query[explain.end() :]
        parsed = json.loads(connection.execute("select json_serialize_sql(?)", [query]).fetchone()[0])  # type: ignore[index]  # one row
        if parsed["error"]:
            raise _refusal(statement, parsed)
        if unknown := sorted(set(_table_functions(parsed)) - _own_macros()):
            raise WarehouseError(f"a query may not call {', '.join(unknown)}", hint=_HINT)


def _refusal(statement: duckdb.Statement, parsed: dict[str, Any]) -> WarehouseError:
    if parsed["error_type"] == "parser":
        return WarehouseError(f"Parser Error: {parsed['error_message']}", hint="correct the query")
    if not statement.query:
        # DuckDB splits a pivot into two statements, and one creates a type
        return WarehouseError(
            "a pivot must name its values",
            hint="write e.g. `pivot t on outcome in ('complete', 'partial') using count(*)`",
        )
    kind = statement.type.name.lower().replace("_", " ")
    return WarehouseError(f"`driftlake sql` runs queries only, and this is a statement of kind {kind}", hint=_HINT)


def _table_functions(node: Any) -> Iterator[str]:
    """Names of the functions that a parsed query calls as tables and that are not known to be harmless."""
    if isinstance(node, dict):
        if node.get("type") == "TABLE_FUNCTION":
            name = str(node["function"].get("function_name", "")).lower()
            if not _HARMLESS.fullmatch(name):
                yield name
        for value in node.values():
            yield from _table_functions(value)
    elif isinstance(node, list):
        for value in node:
            yield from _table_functions(value)


def _own_macros() -> set[str]:
    return {
        match[1].lower()
        for text in (*schema.session_macros(), *schema.warehouse_macros())
        if (match := _MACRO.search(text))
    }
