-- Numbers of alerts of each day.
-- grain: dt
-- inputs: alerts
-- parameters: $first_day, $last_day
select
    dt,
    count(*) filter (where severity = 'critical') as critical_alerts,
    count(*) filter (where severity = 'warn') as warnings
from alerts
where dt between $first_day and $last_day and state is distinct from 'resolved'
group by dt;
