"""Delta and Iceberg tables: the files, and the deleted rows in them, according to the log of the table.

The packages deltalake and pyiceberg read the log. Every engine reads the files like any others. Not here: folders
without a log (`driftlake.inputs.day_folders`), and the files themselves (`driftlake.inputs.parquet_files`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from functools import cached_property, lru_cache
from importlib import import_module
from typing import Any
from urllib.parse import quote, unquote

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from driftlake.errors import InputError
from driftlake.inputs.listed_files import FilesOfDay, ListedFile, SkippedEntry
from driftlake.inputs.partition_names import MISSING, Place, columns_of, down
from driftlake.lake import s3
from driftlake.lake.storage import filesystem_of
from driftlake.vocabulary.wording import counted

_DELTA_LOG, _ICEBERG_LOG, _HUDI_LOG = "_delta_log", "metadata", ".hoodie"
_METADATA_ENDING = ".metadata.json"
# Features of Delta that do not change how a file is read, or that are handled here.
_DELTA_FEATURES = {"deletionVectors", "timestampNtz", "typeWidening", "typeWidening-preview", "v2Checkpoint"}
_DELTA_FEATURES |= {"vacuumProtocolCheck", "variantType", "variantType-preview", "appendOnly", "invariants"}
_DELTA_FEATURES |= {"columnMapping"}  # allowed as long as the table does not map any column
# Number of tables whose log is kept in memory; a project rarely has more.
_TABLES_KEPT = 8


class _Table(ABC):
    """A table at the version at which its log was read."""

    kind: str
    version: str

    @cached_property
    @abstractmethod
    def files(self) -> Sequence[tuple[Sequence[tuple[str, str]], ListedFile]]:
        """Each file with the values of its partition columns, written as in names of folders."""


@dataclass(frozen=True, slots=True)
class TableFiles:
    """A table as a listing of files by day."""

    table: _Table
    layout: str
    skipped: Sequence[SkippedEntry]
    by_day: Mapping[date, Sequence[ListedFile]] = field(default_factory=dict)
    # a log lists every day
    has_more: bool = False

    @property
    def days(self) -> list[date]:
        """The days of the partitions, in order."""
        return sorted(self.by_day)

    def files_of(self, day: date) -> FilesOfDay:
        """Files of every partition of a day."""
        return FilesOfDay(self.by_day.get(day, ()))

    @property
    def files(self) -> Iterator[ListedFile]:
        """The files of all partitions, with the values of all partition columns."""
        for partition, file in self.table.files:
            yield replace(file, values={name: None if value == MISSING else value for name, value in partition})


def table_in(location: str, entries: Sequence[pafs.FileInfo], pattern: str | None = None) -> TableFiles | None:
    """The table in a folder with these entries; None if the folder has no log.

    Raises InputError if its log cannot be read, or if a package that reads it is not installed.
    """
    names = {entry.base_name for entry in entries if not entry.is_file}
    if _HUDI_LOG in names:
        raise InputError(
            f"{location} is a Hudi table, which driftlake cannot read",
            hint="export it to a Delta or an Iceberg table, and give the path of that table",
        )
    if _DELTA_LOG in names:
        log = [entry.base_name for entry in _entries(f"{location}/{_DELTA_LOG}") if entry.is_file]
        return _by_day(location, _delta(location, tuple(sorted(log))), pattern)
    if _ICEBERG_LOG in names and (found := _metadata_files(location)):
        return _by_day(location, _iceberg(location, _newest(location, found)), pattern)
    above, _, own = location.rpartition("/")
    if own == "data" and above and not above.endswith("/") and _metadata_files(above):
        raise InputError(
            f"{location} has the data files of the Iceberg table {above}, and only the metadata of the table says "
            "which of them are current",
            hint=f"give {above} as the path",
        )
    return None


def _entries(location: str) -> list[pafs.FileInfo]:
    filesystem, root = filesystem_of(location)
    found: list[pafs.FileInfo] = filesystem.get_file_info(pafs.FileSelector(root, allow_not_found=True))
    return found


def _metadata_files(location: str) -> list[str]:
    entries = _entries(f"{location}/{_ICEBERG_LOG}")
    return [entry.base_name for entry in entries if entry.is_file and _METADATA_ENDING in f"{entry.base_name}."]


def _by_day(location: str, table: _Table, pattern: str | None) -> TableFiles:
    """The files of a table by the day of their partition."""
    found: defaultdict[date, list[ListedFile]] = defaultdict(list)
    shapes: Counter[str] = Counter()
    unread: Counter[str] = Counter()
    for partition, file in table.files:
        names = [f"{name}={quote(value, safe='')}" for name, value in partition]
        place = down(Place(), names, pattern)
        if place is None or place.day is None:
            unread["/".join(name for name, _ in partition) or "nothing"] += 1
            continue
        shapes["/".join(place.shape)] += 1
        found[place.day].append(replace(file, values=columns_of(place)))
    layout = f"{table.kind} table at version {table.version}, partitioned by " + ", ".join(dict(shapes.most_common()))
    skipped = [
        SkippedEntry(
            location,
            f"{counted(count, 'file')} of no day: the {table.kind} table is partitioned by {columns}",
            is_likely_input=True,
        )
        for columns, count in unread.items()
    ]
    by_day = {day: sorted(files, key=lambda file: file.path) for day, files in found.items()}
    return TableFiles(table, layout, skipped, by_day)


@lru_cache(maxsize=_TABLES_KEPT)
def _delta(location: str, _log: tuple[str, ...]) -> _Delta:
    """A Delta table; it is read again when its log has grown."""
    return _Delta(location)


@lru_cache(maxsize=_TABLES_KEPT)
def _iceberg(location: str, metadata: str) -> _Iceberg:
    """An Iceberg table at one of its metadata files."""
    return _Iceberg(location, metadata)


class _Delta(_Table):
    """A Delta table: deltalake reads its log and its deletion vectors."""

    kind = "Delta"

    def __init__(self, location: str) -> None:
        deltalake = _package("deltalake", location, self.kind)
        try:
            self._table = deltalake.DeltaTable(location, storage_options=_delta_options(location))
            self._features = set(self._table.protocol().reader_features or ())
            self._configuration = self._table.metadata().configuration
        except deltalake.exceptions.DeltaError as error:
            raise _unreadable(location, self.kind, error) from error
        if unknown := sorted(self._features - _DELTA_FEATURES):
            raise InputError(
                f"{location} is a Delta table with the reader features {', '.join(unknown)}, which driftlake cannot read",
                hint="write a copy without them, and give the path of the copy",
            )
        if self._configuration.get("delta.columnMapping.mode", "none") != "none":
            raise InputError(
                f"{location} is a Delta table with column mapping, which driftlake cannot read: the files have other column"
                " names than the table",
                hint="turn column mapping off with `alter table ... set tblproperties ('delta.columnMapping.mode' = 'none')`,"
                " which writes the files again, or give the path of a copy without it",
            )
        self._location = location
        self.version = str(self._table.version())

    @cached_property
    def files(self) -> Sequence[tuple[Sequence[tuple[str, str]], ListedFile]]:
        columns = self._table.metadata().partition_columns
        actions = pa.table(self._table.get_add_actions())
        kept = ("path", "size_bytes", "modification_time", "num_records", "partition")
        deleted = self._deleted() if "deletionVectors" in self._features else {}
        found = []
        for action in actions.select([name for name in kept if name in actions.column_names]).to_pylist():
            path = _under(self._location, unquote(action["path"]))
            bits = deleted.get(path, b"")
            rows = action.get("num_records")
            file = ListedFile(
                path,
                action["size_bytes"],
                action["modification_time"] * 1_000_000,
                row_count=None if rows is None else rows - _bit_count(bits),
                deleted=bits,
                table_version=self.version,
            )
            values = action.get("partition") or {}
            found.append(([(name, _written(values[name])) for name in columns], file))
        return found

    def _deleted(self) -> Mapping[str, bytes]:
        vectors = pa.table(self._table.deletion_vectors())
        return {
            _own_path(row["filepath"]): np.packbits(~np.array(row["selection_vector"], dtype=np.bool_)).tobytes()
            for row in vectors.to_pylist()
        }


class _Iceberg(_Table):
    """An Iceberg table: pyiceberg reads its metadata and manifests, and this class reads the files of position deletes."""

    kind = "Iceberg"

    def __init__(self, location: str, metadata: str) -> None:
        _package("pyiceberg", location, self.kind)
        from pyiceberg.table import StaticTable

        self._location = location
        with _errors_of_iceberg(location):
            self._table = StaticTable.from_metadata(metadata, properties=_iceberg_options(location))
            snapshot = self._table.current_snapshot()
        self.version = str(snapshot.snapshot_id) if snapshot else "empty"

    @cached_property
    def files(self) -> Sequence[tuple[Sequence[tuple[str, str]], ListedFile]]:
        with _errors_of_iceberg(self._location):
            schema, specs = self._table.schema(), self._table.specs()
            types = {column.field_id: column.field_type for column in schema.fields}
            names = {column.field_id: column.name for column in schema.fields}
            tasks = list(self._table.scan().plan_files())
            deletes = {file.file_path: file for task in tasks for file in task.delete_files}
            deleted = _deleted_positions(self._location, self._table.io, deletes.values())
        found = []
        for task in tasks:
            data = task.file
            bits = deleted.get(data.file_path, b"")
            file = ListedFile(
                _own_path(data.file_path),
                data.file_size_in_bytes,
                None,
                row_count=data.record_count - _bit_count(bits),
                deleted=bits,
                table_version=self.version,
                field_names=names,
            )
            # pyiceberg's type is not declared as iterable
            partition: Any = data.partition
            values = [
                (key.name, MISSING if value is None else key.transform.to_human_string(types[key.source_id], value))
                for key, value in zip(specs[data.spec_id].fields, partition, strict=True)
                if key.source_id in types
            ]
            found.append((values, file))
        return found


def _deleted_positions(location: str, io: Any, deletes: Any) -> Mapping[str, bytes]:
    """Bits of the deleted rows of each data file."""
    positions: defaultdict[str, list[np.ndarray[Any, Any]]] = defaultdict(list)
    for delete in deletes:
        for path, rows in _positions_in(location, io, delete):
            positions[path].append(rows)
    return {path: _bits(np.concatenate(rows)) for path, rows in positions.items()}


def _positions_in(location: str, io: Any, delete: Any) -> Iterator[tuple[str, np.ndarray[Any, Any]]]:
    if delete.file_format.name == "PUFFIN":
        from pyiceberg.table.puffin import PuffinFile

        with io.new_input(delete.file_path).open() as source:
            for path, rows in PuffinFile(source.read()).to_vector().items():
                yield path, rows.to_numpy()
        return
    if delete.file_format.name != "PARQUET":
        raise InputError(
            f"{location} is an Iceberg table that lists its deleted rows in {delete.file_format.name} files, which driftlake"
            " cannot read",
            hint="compact the table, e.g. with rewrite_data_files",
        )
    filesystem, inner = filesystem_of(_own_path(delete.file_path))
    with filesystem.open_input_file(inner) as source:
        rows = pq.read_table(source, columns=["file_path", "pos"])
    for path in pc.unique(rows["file_path"]).to_pylist():
        yield path, rows.filter(pc.equal(rows["file_path"], path))["pos"].to_numpy()


def _bits(positions: np.ndarray[Any, Any]) -> bytes:
    is_deleted = np.zeros(int(positions.max()) + 1, dtype=np.bool_)
    is_deleted[positions] = True
    return np.packbits(is_deleted).tobytes()


def _bit_count(bits: bytes) -> int:
    return int(np.unpackbits(np.frombuffer(bits, dtype=np.uint8)).sum())


def _newest(location: str, names: Sequence[str]) -> str:
    """The metadata file that was written last, by the number that its name begins with: v7.metadata.json, 00007-...json."""
    numbers = {
        name: int(digits)
        for name in names
        if (digits := name.lstrip("v").partition(".")[0].partition("-")[0]).isdigit()
    }
    newest = [name for name, number in numbers.items() if number == max(numbers.values())]
    if len(newest) != 1:
        found = f"{' and '.join(sorted(newest))} have the same number" if newest else "no metadata file has a number"
        raise InputError(
            f"{location} is an Iceberg table without a newest metadata file: {found}",
            hint="remove the file that a failed commit left behind, or commit to the table again",
        )
    return f"{location}/{_ICEBERG_LOG}/{newest[0]}"


def _written(value: Any) -> str:
    """A partition value, written as in the name of a folder."""
    if value is None:
        return MISSING
    if isinstance(value, bool):
        return str(value).lower()
    return value.isoformat() if isinstance(value, date | datetime) else str(value)


def _under(location: str, path: str) -> str:
    return _own_path(path) if path.startswith("/") or "://" in path else f"{location}/{path}"


def _own_path(path: str) -> str:
    """A path of a log in the form that we use."""
    for scheme in ("s3a://", "s3n://"):
        path = path.replace(scheme, s3.SCHEME, 1) if path.startswith(scheme) else path
    if path.startswith("file:"):
        return "/" + path.removeprefix("file:").lstrip("/")
    return path


def _package(name: str, location: str, kind: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise InputError(
            f"{location} is {'an' if kind == 'Iceberg' else 'a'} {kind} table, and the package {name}, which reads its log,"
            " is not installed",
            hint="pip install 'driftlake[lakehouse]'",
        ) from error


@contextmanager
def _errors_of_iceberg(location: str) -> Iterator[None]:
    """Translate errors of pyiceberg."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        if isinstance(error, ValueError) and "equality" in str(error):
            raise InputError(
                f"{location} is an Iceberg table with equality deletes, which driftlake cannot read",
                hint="compact the table, e.g. with rewrite_data_files",
            ) from error
        raise _unreadable(location, "Iceberg", error) from error


def _unreadable(location: str, kind: str, error: Exception) -> InputError:
    what = str(error).splitlines()[0] if str(error) else type(error).__name__
    return InputError(
        f"{location}: the log of the {kind} table cannot be read: {what}",
        hint="give the folder of a complete table; if the table was copied, its log names the files at the old location",
    )


def _delta_options(location: str) -> dict[str, str]:
    return _options(
        location,
        lambda access: {
            "AWS_ACCESS_KEY_ID": access.key_id,
            "AWS_SECRET_ACCESS_KEY": access.secret,
            "AWS_SESSION_TOKEN": access.session_token,
            "AWS_REGION": access.region,
            "AWS_ENDPOINT_URL": access.url,
            "AWS_ALLOW_HTTP": str(not access.is_encrypted).lower(),
            "AWS_VIRTUAL_HOSTED_STYLE_REQUEST": str(not access.is_path_style).lower(),
            "AWS_SKIP_SIGNATURE": str(not access.key_id).lower(),
        },
    )


def _iceberg_options(location: str) -> dict[str, str]:
    return _options(
        location,
        lambda access: {
            "s3.access-key-id": access.key_id,
            "s3.secret-access-key": access.secret,
            "s3.session-token": access.session_token,
            "s3.region": access.region,
            "s3.endpoint": access.url,
            "s3.force-virtual-addressing": str(not access.is_path_style).lower(),
            "s3.anonymous": str(not access.key_id).lower(),
        },
    )


def _options(location: str, named: Callable[[s3.Access], Mapping[str, str | None]]) -> dict[str, str]:
    """The storage options for a place, under the names that a package uses."""
    if not s3.is_on_s3(location):
        return {}
    return {name: value for name, value in named(s3.access_to(location)).items() if value}
