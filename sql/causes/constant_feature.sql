-- Evidence: features with one value on the day that were spread on each of the 28 days before.
-- grain: incident_id, subject, known_on
-- inputs: incident_alerts, feature_stats
with compared as (
    select distinct
        s.incident_id,
        s.opened_on,
        s.first_on,
        f.dt,
        f.feature,
        f.minimum = f.maximum as is_constant,
        f.p95 > f.p05 as is_spread
    from incident_alerts as s
    inner join feature_stats as f
        on s.model_id = f.model_id
        and s.feature = f.feature
        and f.segment = 'all'
        and f.dt between s.first_on - 28 and s.until_on
)

select
    incident_id,
    feature as subject,
    max(opened_on) as known_on,
    1.0::double as strength
from compared
group by incident_id, feature
having
    bool_and(is_spread) filter (where dt < first_on)
    and bool_or(is_constant) filter (where dt >= first_on and dt <= opened_on);
