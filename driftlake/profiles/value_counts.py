"""Counting the values of columns with very many distinct values: rows of distinct_profile and heavy_hitters.

All distinct values of a day are held in memory. Only HyperLogLog registers and the most frequent values are stored. Not
here: which columns these are (`driftlake.config`) and reading them (`driftlake.profiles.shards`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from driftlake.lake import queries
from driftlake.maths.arrays import Indices
from driftlake.profiles.kernel import Grouping

_HEAVY_HITTERS = 100
_SCHEMA = pa.schema(
    [("group", pa.int64()), ("column_name", pa.string()), ("value", pa.large_string()), ("row_count", pa.int64())]
)


@dataclass(frozen=True, slots=True)
class ValueCounts:
    """Rows per group, column and value; null stands for missing values."""

    rows: pa.Table

    @classmethod
    def combined(cls, parts: Sequence[ValueCounts]) -> ValueCounts:
        """Everything counted in all parts."""
        tables = [part.rows for part in parts if part.rows.num_rows]
        # a day without such columns has no parts: adding up nothing would cost more than reading it
        if len(tables) < 2:
            return cls(tables[0] if tables else _SCHEMA.empty_table())
        summed = pa.concat_tables(tables).group_by(_SCHEMA.names[:3]).aggregate([("row_count", "sum")])
        return cls(summed.rename_columns(_SCHEMA.names).cast(_SCHEMA))

    def columns(self) -> dict[str, Any]:
        """Columns of the rows."""
        columns = {name: self.rows[name].combine_chunks() for name in _SCHEMA.names}
        return columns | {name: columns[name].to_numpy() for name in ("group", "row_count")}


class ValueAccumulator:
    """Counts the values of columns."""

    def __init__(self, grouping_count: int) -> None:
        self._parts: list[list[ValueCounts]] = [[] for _ in range(grouping_count)]

    def add_values(
        self, column_name: str, positions: Indices, names: Sequence[str | None], groupings: Sequence[Grouping]
    ) -> None:
        """Count rows of an encoded column, shape (rows,), positions and names as `values.encode` gives them."""
        values = pa.array([*names, None], pa.large_string())
        for parts, grouping in zip(self._parts, groupings, strict=True):
            keys = np.repeat(grouping.groups * len(values), grouping.sizes) + grouping.ordered(positions)
            distinct, counts = np.unique(keys, return_counts=True)
            groups, places = np.divmod(distinct, len(values))
            columns = [groups, pa.repeat(column_name, len(groups)), values.take(pa.array(places)), counts]
            parts.append(ValueCounts(pa.table(columns, schema=_SCHEMA)))

    def counts(self) -> list[ValueCounts]:
        """Everything counted so far, per grouping."""
        return [ValueCounts.combined(parts) for parts in self._parts]


def profile_values(connection: duckdb.DuckDBPyConnection, value_counts: pa.Table) -> Mapping[str, pa.Table]:
    """Rows of distinct_profile and heavy_hitters; `value_counts` has their key columns and those of ValueCounts."""
    connection.register("value_counts", value_counts)
    return {
        "distinct_profile": queries.table(connection, "profiles/distinct_profile"),
        "heavy_hitters": queries.table(connection, "profiles/heavy_hitters", value_limit=_HEAVY_HITTERS),
    }
