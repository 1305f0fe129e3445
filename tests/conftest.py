"""Fixtures that several test modules use. Not here: inputs (data.py)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from functools import partial

import duckdb
import hypothesis
import pytest

from driftlake import schema
from driftlake.warehouse import Warehouse

# No deadline: a busy machine breaks no claim.
hypothesis.settings.register_profile("driftlake", deadline=None, max_examples=50, print_blob=True)
hypothesis.settings.load_profile("driftlake")


@pytest.fixture(scope="session", autouse=True)
def quick_connections() -> Iterator[None]:
    """A connection costs a third when DuckDB does not hash our extensions to check their signatures.

    A connection with a `config` of its own checks them; test_a_plain_duckdb_client_can_attach makes one.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(duckdb, "connect", partial(duckdb.connect, config={"allow_unsigned_extensions": True}))
        yield


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
