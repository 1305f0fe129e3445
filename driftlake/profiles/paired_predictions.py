"""Predictions that a candidate and production have both answered, counted: rows of shadow_profile and shadow_differences.

The one thing that profiles count in SQL, because it joins rows; days without a candidate cost nothing. Not here: what the
counts say (`driftlake.quality.shadow`) and pairs with labels (`driftlake.nightly.label_source`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import duckdb
import pyarrow as pa

from driftlake.inputs.predictions import PredictionGroup
from driftlake.lake import queries
from driftlake.lake.schema import arrow_schema

PRODUCTION = "production"
TABLES = ("shadow_profile", "shadow_differences")


def count_pairs(connection: duckdb.DuckDBPyConnection, groups: Sequence[PredictionGroup]) -> Mapping[str, pa.Table]:
    """Rows of TABLES from the relations that `telemetry.code_rows` has left; `groups` are those it found."""
    if not has_candidate(groups):
        return no_pairs()
    queries.run(connection, "shadow_scores")
    sums, differences = sum_pairs(connection)
    return {"shadow_profile": profile_of(connection, sums), "shadow_differences": differences}


def sum_pairs(connection: duckdb.DuckDBPyConnection) -> tuple[pa.Table, pa.Table]:
    """What the scores in the relation `shadow_scores` add to shadow_profile and shadow_differences."""
    queries.run(connection, "shadow_pairs")
    sums, differences = (queries.table(connection, name) for name in ("shadow_sums", "shadow_differences"))
    return sums, differences


def profile_of(connection: duckdb.DuckDBPyConnection, sums: pa.Table) -> pa.Table:
    """Rows of shadow_profile from what any parts of the pairs add to it."""
    connection.register("shadow_sums", sums)
    return queries.table(connection, "shadow_profile")


def no_pairs() -> Mapping[str, pa.Table]:
    """TABLES of days without a candidate."""
    return {name: arrow_schema(name).empty_table() for name in TABLES}


def has_candidate(groups: Sequence[PredictionGroup]) -> bool:
    """Whether some model has predictions of production and of another deployment on one day."""
    produced = {(group.dt, group.model_id) for group in groups if group.deployment == PRODUCTION}
    return any((group.dt, group.model_id) in produced for group in groups if group.deployment != PRODUCTION)
