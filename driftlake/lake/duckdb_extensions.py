"""DuckDB's extensions, loaded from their wheels so that nothing is downloaded at run time.

Not here: Python files of the user (`driftlake.config.extensions`).
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

import duckdb

from driftlake.errors import WarehouseError
from driftlake.lake.queries import literal

_CHECK_SIGNATURES = "set allow_unsigned_extensions = false"


def connect_with(extensions: Mapping[str, str | None]) -> duckdb.DuckDBPyConnection:
    """An in-memory DuckDB with some extensions, each with the extra of driftlake that installs its wheel.

    DuckDB hashes the file of an extension to check its signature, a fifth of a second for each connection. Files of our
    wheels are as trusted as the code beside them, so only files from elsewhere are checked, and what is loaded later.
    """
    connection = duckdb.connect(config={"allow_unsigned_extensions": True})
    try:
        for name, extra in extensions.items():
            load_extension(connection, name, extra=extra)
        connection.execute(_CHECK_SIGNATURES)
    except BaseException:
        connection.close()
        raise
    return connection


def load_extension(connection: duckdb.DuckDBPyConnection, name: str, *, extra: str | None = None) -> None:
    """Load a DuckDB extension from its wheel, which `extra` of driftlake installs, or from the folder of DuckDB's INSTALL."""
    package = find_spec(f"duckdb_extension_{name}")
    found = sorted(Path(package.origin).parent.rglob("*.duckdb_extension")) if package and package.origin else []
    try:
        if found:
            connection.execute(f"load {literal(str(found[0]))}")
        else:
            connection.execute(_CHECK_SIGNATURES)
            connection.execute(f"install {name}")
            connection.execute(f"load {name}")
    except duckdb.Error as error:
        wheel = f"duckdb-extension-{name.replace('_', '-')}=={duckdb.__version__}"
        raise WarehouseError(
            f"DuckDB extension {name} cannot be loaded: {error}",
            hint=f"pip install 'driftlake[{extra}]', which brings {wheel}" if extra else f"install the package {wheel}",
        ) from error
