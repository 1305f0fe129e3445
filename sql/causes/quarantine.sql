-- Evidence: rows and files that are left out for a reason that did not occur in the week before.
-- grain: incident_id, subject, known_on
-- inputs: incident_alerts, quarantine
with left_out as (
    select
        s.incident_id,
        s.opened_on,
        s.first_on,
        q.dt,
        q.expectation,
        q.reason,
        min(q.dt) over (partition by s.incident_id, q.source, q.expectation) as left_out_from
    from incident_alerts as s
    inner join quarantine as q on q.dt between s.first_on - 7 and s.until_on
    where
        q.source = case
            when s.signal like 'label_backlog%' or s.feature like 'labels.%' then 'labels'
            else 'telemetry'
        end
)

select
    incident_id,
    expectation as subject,
    greatest(dt, opened_on) as known_on,
    0.5::double as strength,
    reason as message
from left_out
where left_out_from >= first_on;
