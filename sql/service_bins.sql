-- Rows of service_bins: latencies of every hour and of every node of a day, in bins of five per cent.
-- grain: dt, model_id, model_version, deployment, hour_at, node_id, metric, bin_id
-- inputs: service_latencies (counted_calls by metric, value_ms), prediction_groups
-- nulls: of hour_at and node_id the one that a row is not about; what is negative or no number is left out
with binned as (
    select
        code,
        hour_at,
        node_name,
        metric,
        -- five bins of service_profile each
        floor(floor(ln(greatest(value_ms, 0.001)) / ln(1.01)) / 5)::integer as bin_id
    from service_latencies
    where value_ms >= 0 and isfinite(value_ms)
),

counted as (
    select
        code,
        hour_at,
        node_name,
        metric,
        bin_id,
        count(*) as row_count
    from binned
    group by grouping sets ((code, hour_at, metric, bin_id), (code, node_name, metric, bin_id))
    having hour_at is not null or node_name is not null
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
