-- Evidence for alerts on latency: nodes and hours of the day that are slower than in the week before, by far more than the others.
-- grain: incident_id, subject, known_on
-- inputs: latency_alerts, service_part_levels
with parts as (
    select
        dt,
        model_id,
        model_version,
        deployment,
        coalesce('node ' || node_id, strftime(hour_at, 'the hour from %H:00')) as part,
        node_id is null as is_hour,
        p95_ms
    from service_part_levels
    where
        metric = 'latency_ms'
        and latency_count >= 20
        and dt between (select min(w.first_on) - 7 from latency_alerts as w)
        and (select max(w.until_on) from latency_alerts as w)
),

compared as (
    select
        w.*,
        p.* exclude (model_id),
        median(p.p95_ms) filter (where p.dt < w.first_on) over (
            partition by w.incident_id, w.opened_on, p.model_version, p.deployment, p.part
        ) as usual_p95_ms
    from latency_alerts as w
    inner join parts as p on w.model_id = p.model_id and p.dt between w.first_on - 7 and w.until_on
),

-- how much slower each part of a day is, with the median of the other parts
factors as (
    select
        *,
        p95_ms / usual_p95_ms as factor,
        median(p95_ms / usual_p95_ms) over (
            partition by incident_id, opened_on, dt, model_version, deployment, is_hour
        ) as usual_factor
    from compared
    where dt >= first_on and usual_p95_ms > 0
)

select
    incident_id,
    part as subject,
    greatest(dt, opened_on) as known_on,
    1 - greatest(ln(usual_factor), 0) / ln(factor) as strength,
    dt as slow_on,
    p95_ms,
    usual_p95_ms,
    usual_factor
from factors
-- an hour has few calls, so being a third slower may be chance
where factor >= if(is_hour, 1.5, 1.25) and strength >= 0.5;
