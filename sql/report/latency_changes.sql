-- Changes of latency by stage: every latency column of a day, with its usual value.
-- grain: model_id, model_version, deployment, metric
-- inputs: latency_changes
-- parameters: $day
select
    model_id,
    model_version,
    deployment,
    metric,
    p95_ms,
    usual_p95_ms,
    change_ms,
    moved_place
from latency_changes
where
    dt = $day
    and segment = 'all'
    and usual_p95_ms is not null
order by model_id, model_version, deployment, moved_place nulls first, metric;
