-- The nodes of a day with predictions, latency and utilization, the slowest first.
-- grain: model_id, model_version, deployment, node_id
-- inputs: service_part_levels
-- parameters: $day, $node_count, number of nodes shown per version
select
    model_id,
    model_version,
    deployment,
    node_id,
    prediction_count,
    availability_share,
    gpu_utilization_mean,
    p50_ms,
    p95_ms,
    count(*) over (partition by model_id, model_version, deployment) as all_count
from service_part_levels
where
    dt = $day
    and node_id is not null
    and coalesce(metric, 'latency_ms') = 'latency_ms'
qualify
    row_number() over (
        partition by model_id, model_version, deployment
        order by p95_ms desc nulls last, node_id
    ) <= $node_count
order by model_id, model_version, deployment, p95_ms desc nulls last, node_id;
