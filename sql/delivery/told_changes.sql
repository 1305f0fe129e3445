-- The last change of each incident of which a channel got a notice.
-- grain: incident_id
-- inputs: deliveries
-- parameters: $channel
select
    incident_id,
    arg_max(change, attempted_at) as change,
    arg_max(severity, attempted_at) as severity,
    max(attempted_at) as told_at
from deliveries
where channel = $channel and outcome = 'delivered'
group by incident_id
order by incident_id;
