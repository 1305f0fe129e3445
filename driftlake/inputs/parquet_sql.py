"""Parquet files as relations of DuckDB in which every column is bound by its exact name.

DuckDB ignores case: it reads `Score` as `score`, and the first of two such columns. Arrow does not. Columns are
therefore read by name only in files whose names do not differ by case alone. Other files are read separately, one
relation per layout, and their columns by position. Not here: which columns are read, and how they are converted
(`driftlake.inputs.predictions`).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

from driftlake.lake.queries import literal, quote
from driftlake.maths.value_text import is_text


class ParquetFile(Protocol):
    """A file and its columns."""

    @property
    def path(self) -> str:
        """Where it is."""

    @property
    def columns(self) -> Mapping[str, pa.DataType]:
        """Types by name, in order."""

    @property
    def values(self) -> Mapping[str, str | None]:
        """The values of columns that come from the names of its folders and not from the file; they come last."""

    def deleted_bits(self) -> str:
        """A 0 or 1 for each row, 1 if it is deleted; empty if no row is."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Files that are read together; `places` are the positions of their columns if names differ by case alone."""

    # positions among the files that were given
    positions: Sequence[int]
    files: Sequence[ParquetFile]
    places: Mapping[str, int] | None = None

    def source(self, *, is_numbered: bool = False) -> str:
        """SQL of the rows, on demand with file_row_number; file_index is the position in `files`."""
        paths = ", ".join(literal(_escaped(file.path)) for file in self.files)
        deleted = {place: bits for place, file in enumerate(self.files) if (bits := file.deleted_bits())}
        numbered = "file_row_number = true, " if is_numbered or deleted else ""
        read = f"read_parquet([{paths}], union_by_name = true, {numbered}hive_partitioning = false)"
        if deleted:
            cases = " ".join(
                f"when {place} then get_bit('{bits}'::bit, file_row_number::integer) = 0"
                for place, bits in deleted.items()
            )
            read = f"(select *, file_index from {read} where case file_index {cases} else true end)"
        if self.places is None:
            return read
        own = [place for name, place in self.places.items() if name not in self.files[0].values]
        return f"{read} as rows({', '.join(f'c{place}' for place in own)})"

    def column(self, name: str) -> str | None:
        """SQL of a column; None if no file has it."""
        named = self._named(name) if any(name in file.values for file in self.files) else None
        if self.places is not None:
            own = f"c{self.places[name]}" if name in self.places and not named else None
        else:
            own = quote(name) if any(name in file.columns and name not in file.values for file in self.files) else None
        return f"coalesce(cast({own} as varchar), {named})" if own and named else own or named

    def _named(self, name: str) -> str:
        """SQL of a column that comes from the names of folders."""
        values = (file.values.get(name) for file in self.files)
        listed = ", ".join("null" if value is None else literal(value) for value in values)
        return f"list_extract(cast([{listed}] as varchar[]), file_index::bigint + 1)"

    def kind(self, path: str) -> pa.DataType | None:
        """Type of a column, or of a field of a struct column by its path, in the first file that has it; None if none has."""
        for file in self.files:
            if path in file.columns:
                return file.columns[path]
            name, _, field = path.partition(".")
            kind = file.columns.get(name)
            if isinstance(kind, pa.StructType) and kind.get_field_index(field) >= 0:
                return kind.field(field).type
            if kind is not None and field and is_keyed(kind):
                return keyed_type(kind)
        return None

    def value(self, path: str) -> str | None:
        """SQL of the value at a path: a column, a field of a struct column, or a key of a MAP or of JSON; None if no file has it."""
        if (column := self.column(path)) is not None:
            return column
        name, _, field = path.partition(".")
        kinds = [file.columns[name] for file in self.files if name in file.columns]
        if any(is_keyed(kind) for kind in kinds):
            return keyed_value(str(self.column(name)), field, kinds)
        found = [kind for kind in kinds if isinstance(kind, pa.StructType) and kind.get_field_index(field) >= 0]
        if not found:
            return None
        struct = self.column(name)
        if self.places is not None:
            return f"struct_extract_at({struct}, {found[0].get_field_index(field) + 1})"
        return f"struct_extract({struct}, {literal(field)})"


def layouts_of(files: Sequence[ParquetFile], apart: Callable[[ParquetFile], Hashable] = lambda _: None) -> list[Layout]:
    """Divide the files into as few relations as possible in which every name binds exactly; files that differ in `apart` are separated."""
    names = set().union(*(_names(file) for file in files))
    is_by_name = len({name.lower() for name in names}) == len(names)
    positions = defaultdict(list)
    for position, file in enumerate(files):
        positions[apart(file), () if is_by_name else tuple(_names(file))].append(position)
    return [
        Layout(
            of_layout,
            [files[i] for i in of_layout],
            None if is_by_name else {n: place for place, n in enumerate(files[of_layout[0]].columns)},
        )
        for of_layout in positions.values()
    ]


def rows_of(files: Sequence[ParquetFile], paths: Mapping[str, str | None]) -> str:
    """SQL of the rows of some files with the columns at `paths`, by the names they get; null where there is none."""
    return " union all ".join(
        "select "
        + ", ".join(f"{(path and layout.value(path)) or 'null'} as {quote(name)}" for name, path in paths.items())
        + f" from {layout.source()}"
        for layout in layouts_of(files)
    )


def apart_by_case(names: Iterable[str], preferred: Iterable[str] = ()) -> list[str]:
    """The names that one relation can have, in order: of names that differ by case alone, a preferred one or the first."""
    names, preferred = list(names), set(preferred)
    first: dict[str, str] = {}
    for name in sorted(names, key=lambda name: name not in preferred):
        first.setdefault(name.lower(), name)
    kept = set(first.values())
    return [name for name in names if name in kept]


def _names(file: ParquetFile) -> list[str]:
    """Columns, and the fields of struct columns."""
    names = list(file.columns)
    for name, kind in file.columns.items():
        if isinstance(kind, pa.StructType):
            names += [f"{name}.{field.name}" for field in kind]
    return names


def keyed_value(column: str, name: str, kinds: Sequence[pa.DataType | None]) -> str:
    """SQL of the value of a key in a MAP or in JSON text."""
    if any(kind is not None and pa.types.is_map(kind) for kind in kinds):
        return f"map_extract_value({column}, {literal(name)})"
    return json_text(f"json_extract({column}, {literal(_json_key(name))})")


def json_text(value: str) -> str:
    """SQL of the text of a JSON value: a whole number has no decimals, as in a column of numbers."""
    return (
        f"case when ends_with({value}, '.0') then {value}[:-3] when starts_with({value}, '\"')"
        f" then json_extract_string({value}, '$') when {value} not in ('null', 'NaN') then {value}::varchar end"
    )


def is_keyed(kind: pa.DataType | None) -> bool:
    """Whether each row of a features column names its own features: a MAP, or JSON text."""
    return kind is not None and bool(pa.types.is_map(kind) or is_text(kind))


def keyed_type(kind: pa.DataType) -> pa.DataType:
    """Type of the features in a keyed column: the type of the values of a MAP, or text for JSON."""
    return kind.item_type if pa.types.is_map(kind) else pa.string()


def _json_key(name: str) -> str:
    """A key of JSON as a path of DuckDB."""
    return '$."' + name.replace('"', '\\"') + '"'


def _escaped(path: str) -> str:
    """A path in which the characters of glob patterns are escaped."""
    return re.sub(r"[*?[]", r"[\g<0>]", path)
