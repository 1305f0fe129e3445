-- Evidence for losses of performance and objectives: data of the model broke at the same time, badly enough to page.
-- grain: incident_id, subject, known_on
-- inputs: suspects, alert_lives (rows of sql/incidents/lives.sql), slo_status
select
    s.incident_id,
    l.rule as subject,
    greatest(l.paged_on, s.suspected_on) as known_on,
    1.0::double as strength,
    l.rule,
    min(l.since_on) as broken_on
from suspects as s
inner join alert_lives as l
    on (l.model_id is null or s.model_id = l.model_id)
    -- it continues, or ended within the days of the window
    and l.since_on between s.first_on - 28 and s.until_on
    and coalesce(l.resolved_on, s.until_on) >= s.first_on
where
    l.kind = 'break'
    and l.paged_on is not null
    -- broken data does not slow a service
    and (
        s.signal not like 'slo_status.%'
        or s.feature in (select o.slo from slo_status as o where o.sli in ('completeness', 'quality'))
    )
group by s.incident_id, l.rule, greatest(l.paged_on, s.suspected_on);
