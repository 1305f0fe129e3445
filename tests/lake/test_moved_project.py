"""A project folder that is copied, moved or renamed has a warehouse of its own at once."""

from __future__ import annotations

import shutil
from pathlib import Path

import duckdb
import pytest
from data import day
from project import Project

from driftlake.config import load_settings
from driftlake.errors import WarehouseError
from driftlake.inputs.late_files import late_ranges
from driftlake.lake.catalog import catalog_of, moves_with_project
from driftlake.lake.duckdb_extensions import load_extension
from driftlake.lake.warehouse import Warehouse


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Project:
    made = Project(tmp_path_factory.mktemp("moved") / "original")
    made.telemetry(1)
    made.run(1, 1, until="profiles")
    return made


def copied(original: Project, root: Path) -> Project:
    shutil.copytree(original.root, root)
    copy = object.__new__(Project)
    copy.root, copy.settings = root, load_settings(root / "driftlake.yaml")
    return copy


def files(project: Project) -> dict[Path, bytes]:
    """The content of every file of the warehouse."""
    return {path: path.read_bytes() for path in (project.root / "warehouse").rglob("*") if path.is_file()}


def data_files(project: Project) -> set[Path]:
    [found] = zip(*project.rows("select data_file from ducklake_list_files('lake', 'feature_profile')"), strict=True)
    return {Path(path).parents[2] for path in found}


def test_a_copy_reads_and_writes_its_own_files(original: Project, tmp_path: Path) -> None:
    rows, before = original.contents(), files(original)
    copy = copied(original, tmp_path / "copy")
    assert data_files(copy) == {tmp_path / "copy/warehouse/data"}
    assert copy.contents() == rows
    copy.telemetry(2)
    copy.run(2, 2, until="profiles")
    assert data_files(copy) == {tmp_path / "copy/warehouse/data"}
    assert copy.rows("select count(distinct dt) from feature_profile") == [(2,)]
    assert files(original) == before


def test_other_clients_find_the_files_of_a_copy_that_was_written(original: Project, tmp_path: Path) -> None:
    copy = copied(original, tmp_path / "copy")
    Warehouse.open(copy.settings).connection.close()
    with duckdb.connect() as client:
        for extension in ("sqlite_scanner", "ducklake"):
            load_extension(client, extension)
        client.execute(f"attach 'ducklake:sqlite:{catalog_of(copy.settings).place}' as lake (read_only)")
        found = client.execute("select data_file from ducklake_list_files('lake', 'feature_profile')").fetchall()
    assert all(path.startswith(str(tmp_path)) for (path,) in found)


def test_a_copied_day_is_neither_late_nor_computed_again(original: Project, tmp_path: Path) -> None:
    copy = copied(original, tmp_path / "copy")
    with Warehouse.open(copy.settings, read_only=True) as warehouse:
        assert late_ranges(warehouse, copy.settings) == []
    [report] = copy.run(1, 1, until="profiles")
    assert list(report.unchanged) == [day(1)]


@pytest.mark.parametrize("read_only", [True, False])
def test_a_catalog_without_its_data_is_refused(original: Project, tmp_path: Path, *, read_only: bool) -> None:
    copy = copied(original, tmp_path / "copy")
    (tmp_path / "copy/warehouse/data").rename(tmp_path / "elsewhere")
    with pytest.raises(WarehouseError, match=r"data files .* are not in .*/copy/warehouse/data"):
        Warehouse.open(copy.settings, read_only=read_only)


def test_a_place_that_is_configured_as_absolute_is_that_of_the_original(original: Project, tmp_path: Path) -> None:
    copy = copied(original, tmp_path / "copy")
    copy.configure(warehouse={"data": str(original.root / "warehouse/data")})
    assert data_files(copy) == {original.root / "warehouse/data"}


def test_a_place_outside_of_the_project_does_not_move_with_it(original: Project, tmp_path: Path) -> None:
    copy = copied(original, tmp_path / "copy")
    copy.configure(warehouse={"data": "../original/warehouse/data"})
    assert not moves_with_project(copy.settings)
