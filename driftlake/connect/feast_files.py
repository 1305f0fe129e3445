"""Which Parquet files of logs and of predictions can be used. Folders of Feast have any names, so every file below them counts.

Not here: their rows (`feast_rows`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from driftlake.connect.feast_mapping import STATUS, FeastMapping, LoggedPredictions
from driftlake.inputs.importable_files import LOGGED_AT, REQUEST_ID
from driftlake.lake.queries import literal
from driftlake.lake.storage import is_hidden
from driftlake.maths.value_text import has_text

# Where rows say which file they are from.
FILE = "import_file"
_NO_LOG = "not a log of a Feast feature service: it has no column "


@dataclass(slots=True)
class ParquetFiles:
    """Files that can be used, all columns that they have, and why others cannot be used."""

    paths: list[Path] = field(default_factory=list)
    columns: dict[str, pa.DataType] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def refuse(self, path: Path, reason: str) -> None:
        """Leave a file out."""
        self.problems.append(f"{path}: not imported: {reason}")


def find_logs(places: Iterable[Path], mapping: FeastMapping | None = None) -> ParquetFiles:
    """The logs in files and folders. Without a mapping, only what every log has is required."""
    single = dict.fromkeys([*mapping.features.values(), *mapping.columns.values()]) if mapping else {}
    statuses = [f"{feature}{STATUS}" for feature in mapping.features.values()] if mapping else []

    def problem(columns: Mapping[str, pa.DataType]) -> str | None:
        if missing := [name for name in (REQUEST_ID, LOGGED_AT) if name not in columns]:
            return f"{_NO_LOG}{' and '.join(missing)}"
        if not _is_time(columns[LOGGED_AT]):
            return f"{LOGGED_AT} is {columns[LOGGED_AT]}, expected a timestamp"
        if nested := [name for name in single if name in columns and not _is_single(columns[name])]:
            return f"{nested[0]} is {columns[nested[0]]}, expected single values"
        if wrong := [name for name in statuses if name in columns and not pa.types.is_integer(columns[name])]:
            return f"{wrong[0]} is {columns[wrong[0]]}, expected a whole number"
        return None

    return _found(places, problem)


def find_predictions(places: Iterable[Path], joined: LoggedPredictions) -> ParquetFiles:
    """The predictions in files and folders."""
    needed = (joined.request_id, joined.event_time, joined.correlation_id, *joined.keys.values())

    def problem(columns: Mapping[str, pa.DataType]) -> str | None:
        if missing := [name for name in needed if name not in columns]:
            return f"it has no column {missing[0]}; predictions of the mapping tells which it needs"
        if not _is_time(columns[joined.event_time]):
            return f"{joined.event_time} is {columns[joined.event_time]}, expected a timestamp"
        return None

    return _found(places, problem)


def load(connection: duckdb.DuckDBPyConnection, files: ParquetFiles, statement: Callable[[str], str]) -> None:
    """Execute a `statement` about the rows of the files; those that turn out to be damaged are left out."""
    try:
        connection.execute(statement(_reading(files.paths)))
    except duckdb.Error:
        usable = [path for path in files.paths if _is_readable(connection, path, files)]
        if not usable or len(usable) == len(files.paths):
            raise
        files.paths = usable
        connection.execute(statement(_reading(usable)))


def _reading(paths: Sequence[Path]) -> str:
    listed = ", ".join(literal(str(path)) for path in paths)
    return f"read_parquet([{listed}], union_by_name = true, hive_partitioning = false, filename = {literal(FILE)})"


def _is_readable(connection: duckdb.DuckDBPyConnection, path: Path, files: ParquetFiles) -> bool:
    try:
        connection.execute(f"select sum(hash(whole)) from {_reading([path])} as whole").fetchall()
    except duckdb.Error as error:
        files.refuse(path, str(error).splitlines()[0])
        return False
    return True


def _found(places: Iterable[Path], problem: Callable[[Mapping[str, pa.DataType]], str | None]) -> ParquetFiles:
    files = ParquetFiles()
    for path in _below(places, files):
        try:
            schema = pq.read_schema(path)
        except (OSError, pa.ArrowException) as error:
            files.refuse(path, f"it cannot be read as Parquet: {str(error).splitlines()[0]}")
            continue
        columns = dict(zip(schema.names, schema.types, strict=True))
        if reason := problem(columns):
            files.refuse(path, reason)
            continue
        files.paths.append(path)
        files.columns |= columns
    return files


def _below(places: Iterable[Path], files: ParquetFiles) -> Iterator[Path]:
    """Each file once, in order."""
    seen = set()
    for place in places:
        if place.is_dir():
            found = [path for path in sorted(place.rglob("*.parquet")) if not is_hidden(str(path.relative_to(place)))]
            if not found:
                files.refuse(place, "it has no Parquet files")
        else:
            found = [place]
        for path in found:
            if (resolved := path.resolve()) not in seen:
                seen.add(resolved)
                yield path


def _is_single(kind: pa.DataType) -> bool:
    # a column that has only nulls may have been written without a type
    return has_text(kind) or bool(pa.types.is_null(kind))


def _is_time(kind: pa.DataType) -> bool:
    return bool(pa.types.is_timestamp(kind))
