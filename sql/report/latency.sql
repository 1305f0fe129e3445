-- Latency percentiles per day of every model version and deployment.
-- grain: dt, model_id, model_version, deployment, metric
-- inputs: service_levels
-- parameters: $first_day, $last_day
select
    dt,
    model_id,
    model_version,
    deployment,
    metric,
    row_count,
    p50_ms,
    p95_ms,
    p99_ms
from service_levels
where dt between $first_day and $last_day and segment = 'all'
order by model_id, metric, model_version, deployment, dt;
