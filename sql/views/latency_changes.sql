-- Which latency changed? The 95th percentile of every latency column beside its median on the seven days before; the stage that changed most is number 1 of the day, and latency_ms has no number, because it is the total.
create or replace view latency_changes as
with compared as (
    select
        n.dt,
        n.model_id,
        n.model_version,
        n.deployment,
        n.segment,
        n.metric,
        n.row_count,
        n.p95_ms,
        median(b.p95_ms) as usual_p95_ms,
        count(b.dt) as usual_day_count
    from service_levels as n
    left join service_levels as b
        on n.model_id = b.model_id
        and n.model_version = b.model_version
        and n.deployment = b.deployment
        and n.segment = b.segment
        and n.metric = b.metric
        and b.dt between n.dt - 7 and n.dt - 1
    group by n.dt, n.model_id, n.model_version, n.deployment, n.segment, n.metric, n.row_count, n.p95_ms
)

select
    *,
    p95_ms - usual_p95_ms as change_ms,
    if(
        metric = 'latency_ms' or usual_p95_ms is null,
        null,
        row_number() over (
            partition by
                dt, model_id, model_version, deployment, segment, metric = 'latency_ms' or usual_p95_ms is null
            order by abs(p95_ms - usual_p95_ms) desc, metric
        )
    ) as moved_place
from compared;
