-- Rows of service_profile: latency counts in bins of 1 % relative width.
-- grain: dt, model_id, model_version, deployment, segment, metric, bin_id
-- inputs: prediction_rows
-- nulls: rows without a finite latency that is not negative are left out
with binned as (
    select
        dt,
        model_id,
        model_version,
        deployment,
        -- 0.001 ms is below what any clock on a serving path resolves
        floor(ln(greatest(latency_ms, 0.001)) / ln(1.01))::integer as bin_id
    from prediction_rows
    where isfinite(latency_ms) and latency_ms >= 0
)

select
    dt,
    model_id,
    model_version,
    deployment,
    'all' as segment,
    'latency_ms' as metric,
    bin_id,
    pow(1.01, bin_id) as lower_ms,
    pow(1.01, bin_id + 1) as upper_ms,
    count(*) as row_count
from binned
group by dt, model_id, model_version, deployment, bin_id
order by dt, model_id, model_version, deployment, bin_id;
