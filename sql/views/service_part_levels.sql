-- How fast, how available and how busy was each version in every hour (node_id is null), and on every node of a day (hour_at is null)? A row per latency column; percentiles are the middle of a bin of 5 %.
create or replace view service_part_levels as
with ranked as (
    select
        *,
        sum(row_count) over (
            partition by dt, model_id, model_version, deployment, hour_at, node_id, metric
            order by bin_id
        ) as cumulative_count,
        sum(row_count) over (
            partition by dt, model_id, model_version, deployment, hour_at, node_id, metric
        ) as total_count,
        sqrt(lower_ms * upper_ms) as middle_ms
    from service_bins
),

levels as (
    select
        dt,
        model_id,
        model_version,
        deployment,
        hour_at,
        node_id,
        metric,
        sum(row_count)::bigint as latency_count,
        min(middle_ms) filter (where cumulative_count >= 0.50 * total_count) as p50_ms,
        min(middle_ms) filter (where cumulative_count >= 0.95 * total_count) as p95_ms,
        min(middle_ms) filter (where cumulative_count >= 0.99 * total_count) as p99_ms
    from ranked
    group by dt, model_id, model_version, deployment, hour_at, node_id, metric
)

select
    p.dt,
    p.model_id,
    p.model_version,
    p.deployment,
    p.hour_at,
    p.node_id,
    p.prediction_count,
    p.success_count / nullif(p.outcome_count, 0) as availability_share,
    p.gpu_utilization_sum / nullif(p.gpu_count, 0) as gpu_utilization_mean,
    p.gpu_utilization_max,
    l.metric,
    l.latency_count,
    l.p50_ms,
    l.p95_ms,
    l.p99_ms
from service_parts as p
left join levels as l
    on p.dt = l.dt
    and p.model_id = l.model_id
    and p.model_version = l.model_version
    and p.deployment = l.deployment
    and p.hour_at is not distinct from l.hour_at
    and p.node_id is not distinct from l.node_id
-- the day is in service_levels
where p.hour_at is not null or p.node_id is not null;
