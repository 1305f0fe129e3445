"""Columns of telemetry that were added, lost, retyped or moved: rows of schema_changes.

A day is compared with the last earlier day, the files that hold a version with each other, and its features with their
training data. Only footers are used. Not here: reading them (`driftlake.inputs.partitions`), and leaving out features
(`driftlake.profiles.plan`).
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from functools import cache
from typing import Literal, TypeAlias

import duckdb
import pyarrow as pa
import pyarrow.types as pat

from driftlake.inputs.parquet_files import InputFile
from driftlake.inputs.parquet_sql import is_keyed
from driftlake.inputs.partitions import Partition
from driftlake.lake import queries
from driftlake.lake.schema import arrow_schema
from driftlake.lineage.versions import ModelVersion
from driftlake.vocabulary.wording import counted

Comparison = Literal["day_before", "within_day", "training"]
Change = Literal["added", "lost", "retyped", "reordered"]
# Types by column, in order; None where the type is not known.
Columns: TypeAlias = Mapping[str, str | None]
VersionKey: TypeAlias = tuple[str, str]
# By path and version: rows of the version in the file.
FileVersions: TypeAlias = Mapping[str, Mapping[VersionKey, int]]

_NAMED_FILES = 3


@dataclass(frozen=True, slots=True)
class SchemaChange:
    """A row of schema_changes."""

    dt: date
    comparison: Comparison
    compared_on: date | None
    model_id: str | None
    model_version: str | None
    column_name: str
    change: Change
    expected: str | None
    found: str | None
    file_count: int
    row_count: int
    paths: tuple[str, ...] | None
    message: str


@dataclass(frozen=True, slots=True)
class DayChanges:
    """Changes between a day and the last earlier one, the only part of the rows of the day that depends on other days."""

    dt: date
    changes: tuple[SchemaChange, ...]

    @property
    def fingerprint(self) -> str:
        """Hash over the changes. It stays the same if an earlier day is rewritten with the same columns."""
        return hashlib.sha256(repr(self.changes).encode()).hexdigest()


@cache
def type_name(kind: pa.DataType) -> str:
    """The name of an Arrow type without its encoding: dictionaries, and offsets of 32 or 64 bits."""
    if pat.is_dictionary(kind):
        return type_name(kind.value_type)
    if pat.is_large_string(kind) or pat.is_string_view(kind):
        return "string"
    if pat.is_large_binary(kind) or pat.is_binary_view(kind):
        return "binary"
    return str(kind)


def changes_between_days(
    partitions: Iterable[Partition], earlier: Mapping[date, Partition], features_column: str | None
) -> list[DayChanges]:
    """Changes of each day since its day in `earlier`; the first day has no earlier day and no changes."""
    return [
        DayChanges(partition.dt, tuple(_since(partition, earlier.get(partition.dt), features_column)))
        for partition in partitions
    ]


def file_versions(
    connection: duckdb.DuckDBPyConnection,
    partitions: Sequence[Partition],
    versions: Mapping[VersionKey, ModelVersion],
    features_column: str | None,
) -> FileVersions:
    """The versions in the files of the view `predictions`, which `predictions.create_view_of_partitions` creates.

    Empty if no version could have a change in any file, which saves a scan.
    """
    files = [file for partition in partitions for file in partition.files]
    every_version = {file.path: dict.fromkeys(versions, file.row_count) for file in files}
    held: defaultdict[str, dict[VersionKey, int]] = defaultdict(dict)
    if any(changes_of_versions(each, every_version, versions, features_column) for each in partitions):
        for file_id, model_id, model_version, row_count in queries.run(connection, "inputs/file_versions").fetchall():
            held[files[file_id].path][model_id, model_version] = row_count
    return held


def changes_of_versions(
    partition: Partition,
    held: FileVersions,
    versions: Mapping[VersionKey, ModelVersion],
    features_column: str | None,
) -> list[SchemaChange]:
    """How the files of a day that hold a version differ from each other, and from its training data."""
    changes: list[SchemaChange] = []
    for key in sorted({key for file in partition.files for key in held.get(file.path, {})}):
        of_version = [(file, held[file.path][key]) for file in partition.files if key in held.get(file.path, {})]
        layouts = _layouts(of_version, features_column)
        changes += _compare(_What(partition.dt, "within_day", None, *key), layouts, [layouts[0].columns])
        if any(is_keyed(file.columns.get(features_column or "")) for file, _ in of_version):
            # every row names its own features
            continue
        # the names of folders have no types
        untyped = dict.fromkeys(name for file, _ in of_version for name in file.values)
        trained = _training_columns(versions[key], features_column)
        trained = {**trained, **_only(untyped, trained)}
        features = [replace(layout, columns=_only(layout.columns, trained)) for layout in layouts]
        against = _compare(_What(partition.dt, "training", None, *key), features, [trained])
        # the order of features in a file is not part of the contract
        changes += [change for change in against if change.change != "reordered"]
    return changes


def rows(changes: Iterable[SchemaChange]) -> pa.Table:
    """Rows of schema_changes."""
    return pa.Table.from_pylist([asdict(change) for change in changes], schema=arrow_schema("schema_changes"))


@dataclass(frozen=True, slots=True)
class _What:
    """What is compared with what: the first columns of a row."""

    dt: date
    comparison: Comparison
    compared_on: date | None = None
    model_id: str | None = None
    model_version: str | None = None


@dataclass(frozen=True, slots=True)
class _Layout:
    """Files that have the same columns of the same types in the same order."""

    columns: Columns
    paths: tuple[str, ...]
    row_count: int


@dataclass(frozen=True, slots=True)
class _Difference:
    column_name: str
    change: Change
    expected: str | None
    found: str | None


def _since(partition: Partition, earlier: Partition | None, features_column: str | None) -> list[SchemaChange]:
    layouts, before = (
        _layouts([(file, file.row_count) for file in each.files], features_column) if each else []
        for each in (partition, earlier)
    )
    if not layouts or not before or not earlier:
        return []
    # a column that only some files of the day lack is reported as a difference within the day
    still_there = {name for layout in layouts for name in layout.columns}
    what = _What(partition.dt, "day_before", earlier.dt)
    changes = _compare(what, layouts, [layout.columns for layout in before])
    return [change for change in changes if change.change != "lost" or change.column_name not in still_there]


def _layouts(files: Iterable[tuple[InputFile, int]], features_column: str | None) -> list[_Layout]:
    """Files with their rows, grouped by their columns, those with most rows first. Files without rows are ignored."""
    found: defaultdict[tuple[tuple[str, str | None], ...], list[tuple[str, int]]] = defaultdict(list)
    for file, row_count in files:
        if file.columns and row_count:
            found[tuple(_columns_of(file, features_column).items())].append((file.path, row_count))
    layouts = [
        _Layout(dict(columns), tuple(sorted(path for path, _ in held)), sum(rows for _, rows in held))
        for columns, held in found.items()
    ]
    return sorted(layouts, key=lambda layout: (-layout.row_count, layout.paths))


def _columns_of(file: InputFile, features_column: str | None) -> Columns:
    columns: dict[str, str | None] = {}
    for name, kind in file.columns.items():
        if name == features_column and isinstance(kind, pa.StructType):
            columns |= {f"{name}.{field.name}": type_name(field.type) for field in kind}
        else:
            columns[name] = type_name(kind)
    return columns


def _training_columns(version: ModelVersion, features_column: str | None) -> Columns:
    prefix = f"{features_column}." if features_column else ""
    return {prefix + name: version.feature_types.get(name) for name in version.features}


def _only(columns: Columns, names: Iterable[str]) -> Columns:
    wanted = set(names)
    return {name: kind for name, kind in columns.items() if name in wanted}


def _compare(what: _What, layouts: Sequence[_Layout], known: Sequence[Columns]) -> list[SchemaChange]:
    """The differences between files and the known layouts, by name of the column."""
    differing: defaultdict[_Difference, list[_Layout]] = defaultdict(list)
    for layout in layouts:
        for difference in _differences(layout.columns, known):
            differing[difference].append(layout)
    file_count = sum(len(layout.paths) for layout in layouts)
    changes = [_change(what, difference, where, file_count) for difference, where in differing.items()]
    return sorted(changes, key=lambda change: (change.column_name, change.change, change.message))


def _change(what: _What, difference: _Difference, where: Sequence[_Layout], file_count: int) -> SchemaChange:
    paths = tuple(sorted(path for layout in where for path in layout.paths))
    some = paths if len(paths) < file_count else None
    return SchemaChange(
        **asdict(what),
        **asdict(difference),
        file_count=len(paths),
        row_count=sum(layout.row_count for layout in where),
        paths=some,
        message=_message(what, difference, f" in {_files(some, file_count)}" if some else ""),
    )


def _differences(columns: Columns, known: Sequence[Columns]) -> Iterator[_Difference]:
    """How a file differs from all known layouts; a type or an order that one of them has is not a change."""
    names = dict.fromkeys(name for each in known for name in each)
    for name in dict.fromkeys([*names, *columns]):
        types = {each[name] for each in known if name in each}
        expected = None if None in types else " or ".join(sorted(filter(None, types))) or None
        if name not in columns:
            yield _Difference(name, "lost", expected, None)
        elif name not in names:
            yield _Difference(name, "added", None, columns[name])
        elif expected and columns[name] not in types:
            yield _Difference(name, "retyped", expected, columns[name])
    for name, before, now in min((_moved(list(each), list(columns)) for each in known), key=lambda m: (len(m), m)):
        yield _Difference(name, "reordered", str(before), str(now))


def _moved(before: Sequence[str], now: Sequence[str]) -> list[tuple[str, int, int]]:
    """The fewest columns that moved, with their positions among the columns of both, from 1."""
    both = set(before) & set(now)
    place = {name: number for number, name in enumerate(name for name in before if name in both)}
    names = [name for name in now if name in both]
    stayed = _longest_increasing([place[name] for name in names])
    return [
        (name, place[name] + 1, number + 1)
        for number, name in enumerate(names)
        # a column can have its old position although its neighbours changed sides
        if place[name] not in stayed and place[name] != number
    ]


def _longest_increasing(numbers: Sequence[int]) -> set[int]:
    """Members of the longest increasing subsequence of distinct numbers (Schensted 1961), in O(n log n)."""
    ends: list[int] = []  # the smallest number that ends a subsequence of each length
    length_at: list[int] = []
    for number in numbers:
        length = bisect_left(ends, number)
        ends[length : length + 1] = [number]
        length_at.append(length)
    members: set[int] = set()
    wanted, smallest = len(ends) - 1, float("inf")
    for number, length in zip(reversed(numbers), reversed(length_at), strict=True):
        if length == wanted and number < smallest:
            members.add(number)
            wanted, smallest = wanted - 1, number
    return members


def _message(what: _What, difference: _Difference, where: str) -> str:
    owner = f" of {what.model_id} {what.model_version}" if what.model_id else ""
    now = {
        "added": f"is {'there' if what.comparison == 'within_day' else 'new'} ({difference.found})",
        "lost": "is missing",
        "retyped": f"is {difference.found}",
        "reordered": f"is at position {difference.found}",
    }[difference.change]
    reference = {
        "day_before": f"on {what.compared_on}",
        "within_day": "in the files with most rows",
        "training": "in training",
    }[what.comparison]
    before = "not there" if difference.change == "added" else difference.expected
    return f"column {difference.column_name}{owner} {now}{where}" + (f"; {reference}: {before}" if before else "")


def _files(paths: Sequence[str], all_files: int) -> str:
    names = [path.rpartition("/")[2] for path in paths[:_NAMED_FILES]]
    more = ["..."] if len(paths) > _NAMED_FILES else []
    return f"{len(paths)} of {counted(all_files, 'file')} ({', '.join([*names, *more])})"
