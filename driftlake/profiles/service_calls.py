"""Service levels by hour and by node, and errors: rows of service_parts, service_bins, service_errors.

Not here: latencies of whole days by segment (`driftlake.profiles.latencies`), and availability against an objective (`driftlake.alerts.slos`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import duckdb
import pyarrow as pa

from driftlake.config import TelemetrySettings
from driftlake.inputs.partitions import Partition
from driftlake.lake import queries

TABLES = ("service_parts", "service_bins", "service_errors")
# The sums from which the tables are computed; sums of parts of the calls can be added.
SUMS = ("call_counts", "latency_counts", "error_counts")

# Most frequent kinds of errors that are stored per version and day, so that a service that puts ids into them cannot
# fill the warehouse.
_ERROR_KINDS = 20
_COLUMNS = ("latency_ms", "success", "error_kind", "node_id", "gpu_utilization")


@dataclass(frozen=True, slots=True)
class CallColumns:
    """The columns about calls that some files have, by canonical name; which of them are latencies; and on which days there are any."""

    names: Sequence[str]
    metrics: Sequence[str]
    days: Sequence[date]

    @classmethod
    def of(cls, partitions: Sequence[Partition], telemetry: TelemetrySettings) -> CallColumns:
        """The columns in the files of the given days."""
        known = {telemetry.columns.get(name, name): name for name in (*_COLUMNS, *telemetry.latencies)}
        of_days = {
            partition.dt: {
                column
                for file in partition.files
                if file.row_count
                for column in file.columns
                if column in known and column not in file.unread_columns
            }
            for partition in partitions
        }
        names = [name for column, name in known.items() if any(column in there for there in of_days.values())]
        metrics = [name for name in ("latency_ms", *telemetry.latencies) if name in names]
        return cls(names, metrics, [day for day, there in of_days.items() if there])

    @property
    def has_nodes(self) -> bool:
        """Whether the files say which node answered."""
        return "node_id" in self.names


def count_service(
    connection: duckdb.DuckDBPyConnection, partitions: Sequence[Partition], telemetry: TelemetrySettings
) -> Mapping[str, pa.Table]:
    """Rows of TABLES, from the views and tables that `predictions.code_rows` leaves in the session.

    Files with none of the columns are not read.
    """
    columns = CallColumns.of(partitions, telemetry)
    create_node_view(connection, columns)
    nodes = queries.table(connection, "inputs/segment_values", value_count=telemetry.segment_limit)
    return tables_of(connection, sum_calls(connection, columns, nodes))


def create_node_view(connection: duckdb.DuckDBPyConnection, columns: CallColumns) -> None:
    """Create the view segment_column of the nodes that answered, with one row per counted call."""
    queries.run(connection, "profiles/service_calls")
    connection.execute(
        "create or replace view segment_column as select dt, node_id as value from service_calls"
        + ("" if columns.has_nodes else " limit 0")
    )


def sum_calls(
    connection: duckdb.DuckDBPyConnection, columns: CallColumns, kept_nodes: pa.Table
) -> Mapping[str, pa.Table]:
    """The SUMS of the counted calls in the session; nodes that are not in `kept_nodes` are (other)."""
    connection.register("kept_nodes", kept_nodes)
    _keep_calls(connection, columns)
    connection.execute(f"create or replace view service_latencies as {_latencies(columns.metrics)}")
    return {name: queries.table(connection, f"profiles/{name}") for name in SUMS}


def tables_of(connection: duckdb.DuckDBPyConnection, sums: Mapping[str, pa.Table]) -> Mapping[str, pa.Table]:
    """Rows of TABLES from the SUMS of any parts of the calls."""
    for name, rows in sums.items():
        connection.register(name, rows)
    parameters = {"service_errors": {"kind_count": _ERROR_KINDS}}
    return {name: queries.table(connection, f"profiles/{name}", **parameters.get(name, {})) for name in TABLES}


def _keep_calls(connection: duckdb.DuckDBPyConnection, columns: CallColumns) -> None:
    """Create the table counted_calls, so that the files are read once; nodes beyond the limit are (other)."""
    selected = ["code", "hour_at", "success", "error_kind", "gpu_utilization", *map(queries.quote, columns.metrics)]
    selected.append(
        "case when (dt, node_id) in (select (dt, value) from kept_nodes) then node_id"
        " when node_id is not null then '(other)' end as node_name"
        if columns.has_nodes
        else "cast(null as varchar) as node_name"
    )
    # a day without such columns has no rows, whatever days are counted with it
    days = ", ".join(queries.literal(day.isoformat()) for day in columns.days) or "null"
    connection.execute(
        f"create or replace table counted_calls as select {', '.join(selected)} from service_calls where dt in ({days})"
    )


def _latencies(metrics: Sequence[str]) -> str:
    """SQL that returns one row per call and metric."""
    selected = [
        f"select *, {queries.literal(name)} as metric, {queries.quote(name)} as value_ms from counted_calls"
        for name in metrics
    ]
    return " union all ".join(selected) or "select *, '' as metric, 0.0 as value_ms from counted_calls limit 0"
