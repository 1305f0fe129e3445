"""DuckDB's extensions, loaded from their wheels so that nothing is downloaded at run time.

Not here: Python files of the user (`driftlake.config.extensions`).
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import duckdb

from driftlake.errors import WarehouseError
from driftlake.lake.queries import literal


def load_extension(connection: duckdb.DuckDBPyConnection, name: str, *, extra: str | None = None) -> None:
    """Load a DuckDB extension from its wheel, which `extra` of driftlake installs, or from the folder of DuckDB's INSTALL."""
    package = find_spec(f"duckdb_extension_{name}")
    found = sorted(Path(package.origin).parent.rglob("*.duckdb_extension")) if package and package.origin else []
    try:
        if found:
            connection.execute(f"load {literal(str(found[0]))}")
        else:
            connection.execute(f"install {name}")
            connection.execute(f"load {name}")
    except duckdb.Error as error:
        wheel = f"duckdb-extension-{name.replace('_', '-')}=={duckdb.__version__}"
        raise WarehouseError(
            f"DuckDB extension {name} cannot be loaded: {error}",
            hint=f"pip install 'driftlake[{extra}]', which brings {wheel}" if extra else f"install the package {wheel}",
        ) from error
