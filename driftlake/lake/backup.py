"""Backs a warehouse up to a folder while runs write, and restores it, also to another place.

For a SQLite catalog with data files in a folder; docs/backup.md has the commands for PostgreSQL and S3. Data files are
written once and never changed, and maintenance deletes them only after a grace period. So all files that a copied
catalog names still exist when they are copied. Not here: input files, driftlake.yaml and Dagster's own instance.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from driftlake.config import Settings
from driftlake.errors import WarehouseError
from driftlake.lake.catalog import Catalog, catalog_of, copy_sqlite
from driftlake.vocabulary.wording import counted, first_of

_CATALOG, _DATA = "catalog.sqlite", "data"


@dataclass(frozen=True, slots=True)
class Copied:
    """The files that one call has copied, without those that an earlier call had copied."""

    place: Path
    file_count: int
    byte_count: int


def back_up(settings: Settings, target: Path) -> Copied:
    """Copy the warehouse to `target`: a new or empty folder, or the folder of an earlier backup, which is brought up to date.

    The catalog is replaced last, so a call that is killed leaves the previous backup valid. Raises WarehouseError if the
    warehouse itself lacks a file.
    """
    catalog, data = _local(settings)
    catalog.require()
    target.mkdir(parents=True, exist_ok=True)
    part = target / f"{_CATALOG}.part"
    with catalog.writing():
        copy_sqlite(Path(catalog.place), part)
    copied = [_copy(path, target / _DATA / path.relative_to(data)) for path in _absent(data, target / _DATA)]
    _require_files(part, target / _DATA)
    part.replace(target / _CATALOG)
    return Copied(target, len(copied), sum(copied))


def restore(settings: Settings, source: Path) -> Copied:
    """Restore a backup into the configured warehouse, which must not exist yet."""
    catalog, data = _local(settings)
    if not (source / _CATALOG).is_file():
        raise WarehouseError(
            f"there is no backup in {source}", hint="name the folder that `driftlake backup` was given"
        )
    if not catalog.is_missing() or (data.is_dir() and any(data.iterdir())):
        raise WarehouseError(
            f"there is already a warehouse at {catalog.place} or in {data}",
            hint="move both away, then run the command again",
        )
    copied = [_copy(path, data / path.relative_to(source / _DATA)) for path in _absent(source / _DATA, data)]
    with catalog.writing():
        part = Path(f"{catalog.place}.part")
        copy_sqlite(source / _CATALOG, part)
        _set_data_path(part, data)
        part.replace(catalog.place)
    return Copied(Path(catalog.place), len(copied), sum(copied))


def _local(settings: Settings) -> tuple[Catalog, Path]:
    catalog, data = catalog_of(settings), settings.resolve(settings.warehouse.data)
    if catalog.kind != "sqlite" or "://" in data:
        raise WarehouseError(
            "driftlake copies only a warehouse with a SQLite catalog and data files in a folder",
            hint="for others use pg_dump and a copy of the bucket: see docs/backup.md",
        )
    return catalog, Path(data)


def _absent(source: Path, target: Path) -> Iterator[Path]:
    """Data files of `source` that are missing or incomplete in `target`."""
    for path in sorted(source.rglob("*.parquet")):
        there = target / path.relative_to(source)
        if not there.is_file() or there.stat().st_size != path.stat().st_size:
            yield path


def _require_files(catalog: Path, data: Path) -> None:
    """Raises WarehouseError if the catalog names files that are not there; their names are unique."""
    named = " union all ".join(f"select path from ducklake_{kind}_file" for kind in ("data", "delete"))
    with closing(sqlite3.connect(catalog)) as connection:
        names = {Path(path).name for (path,) in connection.execute(named)}
    if missing := sorted(names - {path.name for path in data.rglob("*.parquet")}):
        raise WarehouseError(
            f"no backup was made: the warehouse has lost {counted(len(missing), 'data file')}: {first_of(missing, 2)}",
            hint="an earlier backup in this folder is still valid; run `driftlake verify`",
        )


def _copy(source: Path, target: Path) -> int:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source, target)
    return target.stat().st_size


def _set_data_path(catalog: Path, data: Path) -> None:
    """Set the place of the data files in the catalog. Readers look there, so it must not be the place of the original."""
    with closing(sqlite3.connect(catalog)) as connection, connection:
        connection.execute("update ducklake_metadata set value = ? where key = 'data_path'", [f"{data}/"])
