-- Evidence: alerts like these that came and went at least twice in the 90 days before: it may be usual.
-- grain: incident_id, subject, known_on
-- inputs: suspects, alert_lives (rows of sql/incidents/lives.sql)
with earlier as (
    select
        s.incident_id,
        s.suspected_on,
        coalesce(s.feature, s.signal) as subject,
        l.opened_on
    from suspects as s
    inner join alert_lives as l
        on s.signal = l.signal
        and s.model_id is not distinct from l.model_id
        and s.feature is not distinct from l.feature
        and l.opened_on between s.suspected_on - 90 and s.first_on - 1
        and l.resolved_on <= s.suspected_on
    where s.suspected_on <= s.until_on
    group by s.incident_id, s.suspected_on, coalesce(s.feature, s.signal), l.opened_on
)

select
    incident_id,
    subject,
    suspected_on as known_on,
    least(1, count(*) / 4)::double as strength,
    count(*) as earlier_count
from earlier
group by incident_id, suspected_on, subject
having count(*) >= 2;
