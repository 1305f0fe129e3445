-- Open incidents of a day with their acknowledgements, the most urgent first; silenced incidents come last.
-- grain: incident_id
-- inputs: incident_history
-- parameters: $day
select
    incident_id,
    model_id,
    state,
    severity,
    kind,
    pages,
    opened_on,
    since_on,
    alert_count,
    model_versions,
    cause,
    title,
    evidence,
    rule,
    owner,
    runbook,
    downtime,
    mark,
    mark_until_on,
    mark_reason,
    marked_by,
    is_notified
from incident_history
where dt = $day and state <> 'resolved'
order by
    not is_notified,
    coalesce(not pages, true),
    severity <> 'critical',
    alert_count desc,
    opened_on,
    incident_id;
