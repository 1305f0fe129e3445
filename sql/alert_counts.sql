-- How many open alerts of each rule a day has.
-- grain: model_id, rule, severity
-- inputs: alerts
-- parameters: $day
select
    model_id,
    rule,
    severity,
    count(*) as alert_count
from alerts
where dt = $day and state is distinct from 'resolved'
group by model_id, rule, severity
order by model_id, rule, severity;
