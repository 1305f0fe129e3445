-- Evidence for alerts that are not about broken data themselves: data of the model broke before or when the problem began, badly enough to
-- page. A loss of performance began on its most likely first day, as estimated when its alert opened. Any other problem began within the
-- window of its alert.
-- grain: incident_id, subject
-- inputs: incident_alerts, alert_lives (rows of sql/incidents/lives.sql), performance, slo_status
-- nulls: ended_on while the data is broken
with beginnings as (
    select
        s.*,
        p.loss_since_on
    from incident_alerts as s
    left join performance as p
        on s.signal = 'performance.loss_evidence'
        and p.basis = 'combined'
        and s.opened_on = p.dt
        and s.model_id = p.model_id
        and s.model_version = p.model_version
        and s.deployment = p.deployment
        and s.feature = p.statistic
)

select
    b.incident_id,
    l.rule as subject,
    min(greatest(l.paged_on, b.opened_on)) as known_on,
    1.0::double as strength,
    l.rule,
    min(l.since_on) as broken_on,
    if(bool_or(l.resolved_on is null), null, max(l.resolved_on)) as ended_on
from beginnings as b
inner join alert_lives as l
    on (l.model_id is null or b.model_id = l.model_id)
    and l.since_on <= b.until_on
    and coalesce(l.resolved_on, b.until_on) >= coalesce(b.loss_since_on, b.first_on)
    -- the first day of a loss is known to within a week
    and l.since_on <= coalesce(b.loss_since_on + 7, b.until_on)
where
    l.kind = 'break'
    and l.paged_on is not null
    -- broken data does not slow a service
    and (
        b.signal not like 'slo_status.%'
        or b.feature in (select o.slo from slo_status as o where o.sli in ('completeness', 'quality'))
    )
group by b.incident_id, l.rule;
