-- Rows of service_bins: latencies of every hour and of every node of a day, in bins of five per cent.
-- grain: dt, model_id, model_version, deployment, hour_at, node_id, metric, bin_id
-- inputs: latency_counts (rows of sql/profiles/latency_counts.sql, of any part of the calls), prediction_groups
-- nulls: hour_at in rows about a node, node_id in rows about an hour; values that are negative or not numbers are left out
with counted as (
    select
        code,
        hour_at,
        node_name,
        metric,
        bin_id,
        sum(row_count)::bigint as row_count
    from latency_counts
    group by code, hour_at, node_name, metric, bin_id
)

select
    g.dt,
    g.model_id,
    g.model_version,
    g.deployment,
    c.hour_at,
    c.node_name as node_id,
    c.metric,
    c.bin_id,
    pow(1.01, 5 * c.bin_id) as lower_ms,
    pow(1.01, 5 * c.bin_id + 5) as upper_ms,
    c.row_count
from counted as c
inner join prediction_groups as g on c.code = g.code
order by g.code, c.hour_at, node_id, c.metric, c.bin_id;
