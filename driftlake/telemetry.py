"""Predictions as one conformed relation: the user's columns under canonical names, every row with its code.

A *row code* says what a row belongs to (day, model version, deployment); rows that do not count (unknown version,
duplicate) have none. Not here: features (profiling.py) and the join with labels (labels.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from driftlake import queries
from driftlake.columns import CanonicalColumn
from driftlake.inputs import Partition
from driftlake.session import create_table
from driftlake.versions import ModelVersion


@dataclass(frozen=True, slots=True)
class PredictionGroup:
    """What a row code stands for."""

    dt: date
    model_id: str
    model_version: str
    deployment: str


@dataclass(frozen=True, slots=True)
class CodedRows:
    """Codes of every row of some files: `codes[path]` has shape (rows of the file,), -1 for rows that do not count."""

    keys: tuple[PredictionGroup, ...]
    codes: Mapping[str, NDArray[np.int32]]


def offer_versions(connection: duckdb.DuckDBPyConnection, versions: Sequence[ModelVersion]) -> None:
    """Create the tables `versions` and `score_cells` (the bin of every cell of the score grids that were learned)."""
    rows = [
        {
            "version_id": version_id,
            "model_id": version.model_id,
            "model_version": version.model_version,
            "score_kind": version.score_kind,
            **({f"grid_{part}": getattr(grid, part) for part in _GRID_PARTS} if (grid := version.score_grid) else {}),
        }
        for version_id, version in enumerate(versions)
    ]
    cells = [
        {"version_id": version_id, "cell": cell, "bin_id": bin_id}
        for version_id, version in enumerate(versions)
        if version.score_bins and version.score_kind == "value"
        for cell, bin_id in enumerate(version.score_bins.bin_of_cells())
    ]
    create_table(connection, "versions", pa.Table.from_pylist(rows, schema=_VERSIONS_SCHEMA))
    create_table(connection, "score_cells", pa.Table.from_pylist(cells, schema=_SCORE_CELLS_SCHEMA))


def offer_partitions(
    connection: duckdb.DuckDBPyConnection,
    relation: str,
    partitions: Sequence[Partition],
    columns: Sequence[CanonicalColumn],
    mapping: Mapping[str, str],
) -> None:
    """Create the view `relation`: canonical columns, dt, file_id (position among the files) and file_row_number.

    Optional columns that no file has are null.
    """
    files = [file for partition in partitions for file in partition.files]
    if not files:
        nothing = [f"cast(null as {column.sql_type}) as {column.name}" for column in columns]
        nothing += ["cast(null as date) as dt", "cast(null as integer) as file_id"]
        nothing += ["cast(null as bigint) as file_row_number"]
        connection.execute(f"create or replace view {relation} as select {', '.join(nothing)} where false")
        return
    there = {name for file in files for name in file.columns}
    selected = []
    for column in columns:
        own = mapping.get(column.name, column.name)
        source = queries.quote(own) if own in there else "null"
        selected.append(f"cast({source} as {column.sql_type}) as {column.name}")
    paths = ", ".join(queries.literal(file.path) for file in files)
    days = ", ".join(f"date '{file.dt}'" for file in files)
    connection.execute(
        f"create or replace view {relation} as select {', '.join(selected)},"
        f" list_extract([{days}], file_index::bigint + 1) as dt, file_index::integer as file_id, file_row_number"
        f" from read_parquet([{paths}], union_by_name = true, file_row_number = true, hive_partitioning = false)"
    )


def code_rows(connection: duckdb.DuckDBPyConnection, partitions: Sequence[Partition]) -> CodedRows:
    """Give every row of the view `predictions` its code; fills the table `prediction_rows` that the SQL profiles use.

    Features are not read at all; the few columns that say what a row belongs to are read twice.
    """
    queries.run(connection, "prediction_groups")
    queries.run(connection, "prediction_rows")
    drop_repeated_predictions(connection)
    keys = tuple(
        PredictionGroup(*row)
        for row in connection.execute(
            "select dt, model_id, model_version, deployment from prediction_groups order by code"
        ).fetchall()
    )
    files = [file for partition in partitions for file in partition.files]
    offsets = np.cumsum([0, *(file.row_count for file in files)])
    codes = np.full(offsets[-1], -1, dtype=np.int32)
    for batch in queries.run(connection, "prediction_codes").to_arrow_reader(1_000_000):
        columns = (batch.column(name).to_numpy() for name in ("file_id", "file_row_number", "code"))
        file_ids, row_numbers, row_codes = columns
        codes[offsets[file_ids] + row_numbers] = row_codes
    return CodedRows(keys, {file.path: codes[offsets[i] : offsets[i + 1]] for i, file in enumerate(files)})


def drop_repeated_predictions(connection: duckdb.DuckDBPyConnection) -> None:
    """Delete all but the earliest of predictions delivered twice from `prediction_rows`.

    Sorting the keys here takes a tenth of the time of grouping by them: nearly always no key occurs twice.
    """
    keys = connection.execute("select key_hash from prediction_rows where key_hash is not null").fetchnumpy()[
        "key_hash"
    ]
    keys = np.sort(keys)
    repeated = np.unique(keys[1:][keys[1:] == keys[:-1]])
    if len(repeated):
        create_table(connection, "repeated_keys", pa.table({"key_hash": pa.array(repeated, pa.uint64())}))
        queries.run(connection, "surplus_predictions")


_GRID_PARTS = ("transform", "scale", "lower", "upper", "cells")
_VERSIONS_SCHEMA = pa.schema(
    [
        ("version_id", pa.int32()),
        ("model_id", pa.string()),
        ("model_version", pa.string()),
        ("score_kind", pa.string()),
        ("grid_transform", pa.string()),
        ("grid_scale", pa.float64()),
        ("grid_lower", pa.float64()),
        ("grid_upper", pa.float64()),
        ("grid_cells", pa.int32()),
    ]
)
_SCORE_CELLS_SCHEMA = pa.schema([("version_id", pa.int32()), ("cell", pa.int64()), ("bin_id", pa.int32())])
