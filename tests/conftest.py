"""Fixtures that several test modules use. Not here: inputs (data.py)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext

import duckdb
import hypothesis
import pytest

from driftlake import schema
from driftlake.warehouse import Warehouse

# No deadline: a busy machine breaks no claim.
hypothesis.settings.register_profile("driftlake", deadline=None, max_examples=50, print_blob=True)
hypothesis.settings.load_profile("driftlake")


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
    db.execute("".join([table.ddl for table in schema.tables()] + [view.ddl for view in schema.views()]))
    return Warehouse(db, nullcontext())
