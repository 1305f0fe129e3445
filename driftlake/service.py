"""Service levels of the hours and nodes of a day, and what failed: rows of service_parts, service_bins, service_errors.

Not here: latencies of whole days by segment (latencies.py), and availability against an objective (slos.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import duckdb
import pyarrow as pa

from driftlake import queries
from driftlake.config import TelemetrySettings
from driftlake.inputs import Partition

TABLES = ("service_parts", "service_bins", "service_errors")

# Kinds of errors that a version has on a day, by how often; a service that puts ids in them must not fill the warehouse.
_ERROR_KINDS = 20
_COLUMNS = ("latency_ms", "success", "error_kind", "node_id", "gpu_utilization")


def count_service(
    connection: duckdb.DuckDBPyConnection, partitions: Sequence[Partition], telemetry: TelemetrySettings
) -> Mapping[str, pa.Table]:
    """Rows of TABLES, from the views and tables that `telemetry.code_rows` leaves in the session.

    Files with none of the columns are not read.
    """
    there = {name for partition in partitions for file in partition.files for name in file.columns}
    columns = [name for name in (*_COLUMNS, *telemetry.latencies) if telemetry.columns.get(name, name) in there]
    metrics = [name for name in ("latency_ms", *telemetry.latencies) if name in columns]
    queries.run(connection, "service_calls")
    _keep_calls(connection, metrics, telemetry, is_empty=not columns, has_nodes="node_id" in columns)
    connection.execute(f"create or replace view service_latencies as {_latencies(metrics)}")
    parameters = {"service_errors": {"kind_count": _ERROR_KINDS}}
    return {name: queries.run(connection, name, **parameters.get(name, {})).to_arrow_table() for name in TABLES}


def _keep_calls(
    connection: duckdb.DuckDBPyConnection,
    metrics: Sequence[str],
    telemetry: TelemetrySettings,
    *,
    is_empty: bool,
    has_nodes: bool,
) -> None:
    """Create the table counted_calls: what is counted of calls, read once, in which nodes beyond the limit are (other)."""
    connection.execute(
        "create or replace view segment_column as select dt, node_id as value from service_calls"
        + ("" if has_nodes else " limit 0")
    )
    nodes = queries.run(connection, "segment_values", value_count=telemetry.segment_limit).to_arrow_table()
    connection.register("kept_nodes", nodes)
    selected = ["code", "hour_at", "success", "error_kind", "gpu_utilization", *map(queries.quote, metrics)]
    selected.append(
        "case when (dt, node_id) in (select (dt, value) from kept_nodes) then node_id"
        " when node_id is not null then '(other)' end as node_name"
        if has_nodes
        else "cast(null as varchar) as node_name"
    )
    connection.execute(
        f"create or replace table counted_calls as select {', '.join(selected)} from service_calls"
        + (" limit 0" if is_empty else "")
    )


def _latencies(metrics: Sequence[str]) -> str:
    """SQL of a row per call and metric."""
    selected = [
        f"select *, {queries.literal(name)} as metric, {queries.quote(name)} as value_ms from counted_calls"
        for name in metrics
    ]
    return " union all ".join(selected) or "select *, '' as metric, 0.0 as value_ms from counted_calls limit 0"
