-- Numbers of open alerts by rule, day by day.
-- grain: dt, model_id, rule, severity
-- inputs: alerts
-- parameters: $first_day, $last_day
select
    dt,
    coalesce(model_id, '') as model_id,
    rule,
    severity,
    count(*) as alert_count
from alerts
where dt between $first_day and $last_day and state is distinct from 'resolved'
group by dt, coalesce(model_id, ''), rule, severity
order by model_id, rule, severity, dt;
