-- Rows of service_profile: latency counts in bins of 1 % relative width.
-- grain: dt, model_id, model_version, deployment, segment, metric, bin_id
-- inputs: prediction_rows, prediction_groups
-- nulls: rows without a finite latency that is not negative are left out
with binned as (
    select
        code,
        -- 0.001 ms is below what any clock on a serving path resolves
        floor(ln(greatest(latency_ms, 0.001)) / ln(1.01))::integer as bin_id
    from prediction_rows
    where isfinite(latency_ms) and latency_ms >= 0
),

counted as (
    select
        code,
        bin_id,
        count(*) as row_count
    from binned
    group by code, bin_id
)

select
    g.dt,
    g.model_id,
    g.model_version,
    g.deployment,
    'all' as segment,
    'latency_ms' as metric,
    c.bin_id,
    pow(1.01, c.bin_id) as lower_ms,
    pow(1.01, c.bin_id + 1) as upper_ms,
    c.row_count
from counted as c
inner join prediction_groups as g on c.code = g.code
order by c.code, c.bin_id;
