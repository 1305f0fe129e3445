-- The alerts of incidents that are about latency: about a percentile, or about a latency objective.
-- grain: incident_id, model_id, opened_on, first_on, until_on
-- inputs: incident_alerts, slo_status
select distinct
    s.incident_id,
    s.model_id,
    s.opened_on,
    s.first_on,
    s.until_on
from incident_alerts as s
where
    s.signal = 'service_levels.p95_ms'
    or s.feature in (select o.slo from slo_status as o where o.sli = 'latency');
