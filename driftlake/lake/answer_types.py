"""SQL that converts values to types that Arrow and every output format can hold, without changing their meaning.

Not here: asking and writing (`driftlake.lake.shell`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TypeAlias

from duckdb.sqltypes import DuckDBPyType

from driftlake.lake.queries import literal, quote

# By the id of a type, SQL of a value from the SQL of the value.
Conversions: TypeAlias = Mapping[str, Callable[[str], str]]

_text = "cast({} as varchar)".format
# Arrow has no type of DuckDB's bits, variants and times of a zone, and its decimals are too short for half of UHUGEINT.
FOR_ARROW: Conversions = {
    "bit": _text,
    "time with time zone": _text,
    "uhugeint": "cast({} as bignum)".format,
    "variant": _text,
}
# JSON has no nan and no infinity.
FOR_JSON: Conversions = dict.fromkeys(("double", "float"), "case when isfinite({0}) then {0} end".format)
# Intervals of Parquet are never negative, and few readers know them.
FOR_PARQUET: Conversions = {"interval": _text}


def converted(value: str, kind: DuckDBPyType, conversions: Conversions, depth: int = 0) -> str:
    """SQL of `value`, which is of type `kind`, with every value in it converted; `value` itself if nothing is to do."""
    if kind.id in conversions:
        return conversions[kind.id](value)
    children = (
        [(name, child) for name, child in kind.children if isinstance(child, DuckDBPyType)] if _is_nested(kind) else []
    )
    inner = partial(converted, conversions=conversions, depth=depth + 1)
    if kind.id in {"list", "array"}:
        return _of_list(value, f"e{depth}", inner(f"e{depth}", children[0][1]))
    if kind.id == "map":
        of_parts = [
            _of_list(part, f"e{depth}", inner(f"e{depth}", child))
            for part, (_, child) in zip((f"map_keys({value})", f"map_values({value})"), children, strict=True)
        ]
        is_same = of_parts == [f"map_keys({value})", f"map_values({value})"]
        return value if is_same else f"case when {value} is not null then map({', '.join(of_parts)}) end"
    if kind.id == "struct":
        fields = {name: f"struct_extract({value}, {literal(name)})" for name, _ in children}
        of_fields = {name: inner(fields[name], child) for name, child in children}
        packed = ", ".join(f"{quote(name)} := {field}" for name, field in of_fields.items())
        return value if of_fields == fields else f"case when {value} is not null then struct_pack({packed}) end"
    return value


def _is_nested(kind: DuckDBPyType) -> bool:
    return kind.id in {"list", "array", "map", "struct"}


def _of_list(value: str, element: str, converted_element: str) -> str:
    return value if converted_element == element else f"list_transform({value}, lambda {element}: {converted_element})"
