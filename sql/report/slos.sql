-- The state of every objective on a day, the worst first.
-- grain: slo, model_id
-- inputs: slo_status
-- parameters: $day
select
    slo,
    model_id,
    sli,
    objective,
    period_days,
    period_good_count,
    period_total_count,
    period_good_count / nullif(period_total_count, 0) as period_value,
    budget_remaining,
    burn_rate_1d,
    burn_rate_7d,
    state
from slo_status
where dt = $day
order by budget_remaining nulls last, slo, model_id;
