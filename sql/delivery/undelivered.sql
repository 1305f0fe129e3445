-- Notices of incidents that failed and have not been delivered since.
-- grain: channel, incident_id
-- inputs: deliveries
select
    channel,
    incident_id,
    arg_max(change, attempted_at) as change,
    arg_max(error, attempted_at) as error,
    max(attempted_at) as attempted_at
from deliveries
group by channel, incident_id
having arg_max(outcome, attempted_at) = 'failed'
order by channel, incident_id;
