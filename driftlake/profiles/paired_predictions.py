"""Counting requests that both a candidate and production answered: rows of shadow_profile and shadow_differences.

This is the only profile that is counted in SQL, because it needs a join. Days without a candidate cost nothing. Not
here: what the counts mean (`driftlake.quality.shadow`) and pairs with labels (`driftlake.nightly.label_source`).
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
    """Rows of TABLES from the relations that `predictions.code_rows` leaves in the session; `groups` are the groups it found."""
    if not has_candidate(groups):
        return no_pairs()
    queries.run(connection, "profiles/shadow_scores")
    sums, differences = sum_pairs(connection)
    return {"shadow_profile": profile_of(connection, sums), "shadow_differences": differences}


def sum_pairs(connection: duckdb.DuckDBPyConnection) -> tuple[pa.Table, pa.Table]:
    """The sums for shadow_profile and shadow_differences over the scores in the relation `shadow_scores`."""
    queries.run(connection, "profiles/shadow_pairs")
    sums, differences = (
        queries.table(connection, f"profiles/{name}") for name in ("shadow_sums", "shadow_differences")
    )
    return sums, differences


def profile_of(connection: duckdb.DuckDBPyConnection, sums: pa.Table) -> pa.Table:
    """Rows of shadow_profile from the sums of any parts of the pairs."""
    connection.register("shadow_sums", sums)
    return queries.table(connection, "profiles/shadow_profile")


def no_pairs() -> Mapping[str, pa.Table]:
    """Empty TABLES, for days without a candidate."""
    return {name: arrow_schema(name).empty_table() for name in TABLES}


def has_candidate(groups: Sequence[PredictionGroup]) -> bool:
    """Whether some model has predictions of production and of another deployment on one day."""
    produced = {(group.dt, group.model_id) for group in groups if group.deployment == PRODUCTION}
    return any((group.dt, group.model_id) in produced for group in groups if group.deployment != PRODUCTION)
