-- Rows of service_parts: predictions, successes and GPU utilization of every day, of its hours and of its nodes.
-- grain: dt, model_id, model_version, deployment, hour_at, node_id
-- inputs: call_counts (rows of sql/profiles/call_counts.sql, of any part of the calls), prediction_groups
-- nulls: hour_at in rows about a node, node_id in rows about an hour, both in rows about the day
with counted as (
    select
        code,
        hour_at,
        node_name,
        sum(prediction_count)::bigint as prediction_count,
        sum(outcome_count)::bigint as outcome_count,
        sum(success_count)::bigint as success_count,
        sum(gpu_count)::bigint as gpu_count,
        coalesce(sum(gpu_utilization_sum), 0)::double as gpu_utilization_sum,
        max(gpu_utilization_max) as gpu_utilization_max
    from call_counts
    group by code, hour_at, node_name
)

select
    g.dt,
    g.model_id,
    g.model_version,
    g.deployment,
    c.hour_at,
    c.node_name as node_id,
    c.prediction_count,
    c.outcome_count,
    c.success_count,
    c.gpu_count,
    c.gpu_utilization_sum,
    c.gpu_utilization_max
from counted as c
inner join prediction_groups as g on c.code = g.code
order by g.code, c.hour_at, node_id;
