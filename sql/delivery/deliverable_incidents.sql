-- The newest row of every incident. An incident without a row on the newest day is resolved, whatever the state in its last row.
-- grain: incident_id
-- inputs: incident_history, newest_alert_day
with newest as (
    select max(dt) as dt
    from newest_alert_day
)

select
    h.dt,
    h.incident_id,
    h.model_id,
    if(h.dt < n.dt, 'resolved', h.state) as state,
    h.kind,
    -- earlier releases sent notices of all incidents
    coalesce(h.pages, true) as pages,
    h.severity,
    h.opened_on,
    h.alert_count,
    h.cause,
    h.title,
    h.evidence,
    h.rule,
    h.owner,
    h.runbook,
    h.is_notified
from incident_history as h
cross join newest as n
qualify row_number() over (partition by h.incident_id order by h.dt desc) = 1
order by h.incident_id;
