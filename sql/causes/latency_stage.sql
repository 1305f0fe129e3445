-- Evidence for alerts on latency: the stage of the calls that slowed most, compared with the week before.
-- grain: incident_id, subject, known_on
-- inputs: latency_alerts, latency_changes
with changes as (
    select
        *,
        sum(greatest(change_ms, 0)) over (partition by dt, model_id, model_version, deployment) as slower_ms
    from latency_changes
    where
        segment = 'all'
        and moved_place is not null
        and dt between (select min(w.first_on) from latency_alerts as w)
        and (select max(w.until_on) from latency_alerts as w)
)

select
    w.incident_id,
    c.metric as subject,
    greatest(c.dt, w.opened_on) as known_on,
    c.change_ms / c.slower_ms as strength,
    c.p95_ms,
    c.usual_p95_ms
from latency_alerts as w
inner join changes as c on w.model_id = c.model_id and c.dt between w.first_on and w.until_on
where c.moved_place = 1 and c.change_ms >= 0.1 * c.usual_p95_ms;
