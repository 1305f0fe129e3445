-- Rows of service_levels: percentiles of the day from the latency bins (the middle of the bin that holds the rank).
-- grain: dt, model_id, model_version, deployment, segment, metric
-- inputs: service_rows (rows of service_profile)
with ranked as (
    select
        *,
        sum(row_count) over (
            partition by dt, model_id, model_version, deployment, segment, metric
            order by bin_id
        ) as cumulative_count,
        sum(row_count) over (partition by dt, model_id, model_version, deployment, segment, metric) as total_count,
        sqrt(lower_ms * upper_ms) as middle_ms
    from service_rows
)

select
    dt,
    model_id,
    model_version,
    deployment,
    segment,
    metric,
    sum(row_count)::bigint as row_count,
    min(middle_ms) filter (where cumulative_count >= 0.50 * total_count) as p50_ms,
    min(middle_ms) filter (where cumulative_count >= 0.95 * total_count) as p95_ms,
    min(middle_ms) filter (where cumulative_count >= 0.99 * total_count) as p99_ms
from ranked
group by dt, model_id, model_version, deployment, segment, metric
order by dt, model_id, model_version, deployment, metric;
