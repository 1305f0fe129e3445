-- Calls, successes and GPU utilization of every day, of its hours and of its nodes, in sums that add up without loss.
-- grain: code, hour_at, node_name
-- inputs: counted_calls
-- nulls: hour_at in rows about a node, node_name in rows about an hour, both in rows about the day
select
    code,
    hour_at,
    node_name,
    count(*) as prediction_count,
    count(success) as outcome_count,
    count(*) filter (where success) as success_count,
    count(gpu_utilization) as gpu_count,
    -- decimals, because a sum of floats depends on the order of the rows and a rerun must give the same
    sum(try_cast(gpu_utilization as decimal(30, 12))) as gpu_utilization_sum,
    max(gpu_utilization) as gpu_utilization_max
from counted_calls
group by grouping sets ((code), (code, hour_at), (code, node_name))
-- only known hours and nodes
having grouping_id(hour_at, node_name) = 3 or hour_at is not null or node_name is not null;
