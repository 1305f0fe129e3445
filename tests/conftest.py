"""Fixtures that several test modules use. Not here: inputs (data.py)."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import hypothesis
import pytest
from data import write_project

from driftlake.config import Settings
from driftlake.lake import schema
from driftlake.lake.catalog import catalog_of
from driftlake.lake.warehouse import CATALOG, Warehouse

if TYPE_CHECKING:
    from postgres_service import Server
    from s3_service import Service

# No deadline, because a busy machine must not fail a test.
hypothesis.settings.register_profile("driftlake", deadline=None, max_examples=50, print_blob=True)
hypothesis.settings.load_profile("driftlake")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests by the fixtures that start services or processes, and run the long files first."""
    for item in items:
        for fixture, mark in MARKS.items():
            if fixture in getattr(item, "fixturenames", ()):
                item.add_marker(mark)
    items.sort(key=_place)


MARKS = {"postgres": "services", "s3_service": "services", "installed": "processes", "launched": "processes"}

# The files that take longest, from half a minute to some minutes, longest first.
LONG = (
    "test_spark",
    "test_dagster",
    "test_stages",
    "test_corpus",
    "test_maintenance",
    "test_postgres",
    "test_s3",
    "test_isolation",
    "test_backfills",
    "test_nightly",
    "test_personal_data",
    "test_corrections",
    "test_sampling",
    "test_quarantine",
    "test_wheel",
    "test_other_clients",
    "test_provenance",
    "test_classes",
)


def _place(item: pytest.Item) -> int:
    """The order of files: the short ones come last, so that no worker waits long for another."""
    name = item.path.stem
    return LONG.index(name) if name in LONG else len(LONG)


@pytest.fixture(scope="session", autouse=True)
def quick_warehouses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A new warehouse is a copy of a template, because creating one takes a second and hundreds of tests need one."""
    settings = write_project(tmp_path_factory.mktemp("template") / "project", features=[], training={"x": [1.0]})
    Warehouse.open(settings).connection.close()
    original, made = Warehouse.open, Path(catalog_of(settings).place)

    def opened(settings: Settings, **how: Any) -> Warehouse:
        catalog, data = catalog_of(settings), settings.resolve(settings.warehouse.data)
        if catalog.kind == "sqlite" and not how.get("read_only"):
            with catalog.writing():
                if catalog.is_missing() and not any(Path(data).rglob("*.parquet")):
                    _copy_warehouse(made, Path(catalog.place), data)
        return original(settings, **how)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Warehouse, "open", opened)
        yield


def _copy_warehouse(made: Path, place: Path, data: str) -> None:
    shutil.copy(made, place)
    with closing(sqlite3.connect(place)) as connection, connection:
        connection.execute("update ducklake_metadata set value = ? where key = 'data_path'", [f"{data}/"])


@pytest.fixture
def db() -> Iterator[duckdb.DuckDBPyConnection]:
    """An in-memory DuckDB with our SQL macros."""
    with duckdb.connect() as connection:
        for macro in schema.session_macros():
            connection.execute(macro)
        yield connection


@pytest.fixture
def memory(db: duckdb.DuckDBPyConnection) -> Warehouse:
    """The tables and views of the warehouse in `db`, without a DuckLake below them."""
    db.execute(f"attach ':memory:' as {CATALOG}; use {CATALOG}")
    db.execute("".join([table.ddl for table in schema.tables()] + [view.ddl for view in schema.views_in_order()]))
    return Warehouse(db, nullcontext())


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A PostgreSQL for the tests of one worker."""
    from postgres_service import Server

    server = Server.start(tmp_path_factory.mktemp("postgres"))
    yield server
    server.running.cleanup()


@pytest.fixture(scope="session")
def s3_service() -> Iterator[Service]:
    """An S3 for the tests of one worker."""
    from s3_service import Service

    running = Service.start()
    yield running
    running.server.stop()
