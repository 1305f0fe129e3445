-- Numbers of open alerts of a day by rule.
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
