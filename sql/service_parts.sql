-- Rows of service_parts: predictions, successes and GPU utilization of every day, of its hours and of its nodes.
-- grain: dt, model_id, model_version, deployment, hour_at, node_id
-- inputs: counted_calls, prediction_groups
-- nulls: of hour_at and node_id the one that a row is not about; both in rows about the day
with counted as (
    select
        code,
        hour_at,
        node_name,
        count(*) as prediction_count,
        count(success) as outcome_count,
        count(*) filter (where success) as success_count,
        count(gpu_utilization) as gpu_count,
        -- decimals, because a sum of floats depends on the order of the rows and a rerun must give the same
        coalesce(sum(try_cast(gpu_utilization as decimal(30, 12))), 0)::double as gpu_utilization_sum,
        max(gpu_utilization) as gpu_utilization_max
    from counted_calls
    group by grouping sets ((code), (code, hour_at), (code, node_name))
    -- of the hours and of the nodes those that are known
    having grouping_id(hour_at, node_name) = 3 or hour_at is not null or node_name is not null
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
