-- Latencies of every hour and of every node of a day, in bins of five per cent.
-- grain: code, hour_at, node_name, metric, bin_id
-- inputs: service_latencies (counted_calls by metric, value_ms)
-- nulls: hour_at in rows about a node, node_name in rows about an hour; values that are negative or not numbers are left out
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
)

select
    code,
    hour_at,
    node_name,
    metric,
    bin_id,
    count(*) as row_count
from binned
group by grouping sets ((code, hour_at, metric, bin_id), (code, node_name, metric, bin_id))
having hour_at is not null or node_name is not null;
