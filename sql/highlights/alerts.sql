-- How many alerts each day raised.
-- grain: dt
-- inputs: new_alerts (rows of alerts)
select
    dt,
    count(*) filter (where severity = 'critical') as critical_alerts,
    count(*) filter (where severity = 'warn') as warnings
from new_alerts
group by dt;
