-- Objectives and what is left of their error budgets, day by day.
-- grain: dt, slo, model_id
-- inputs: slo_status
-- parameters: $first_day, $last_day
-- nulls: budget_remaining without events
select
    dt,
    slo,
    model_id,
    sli,
    objective,
    budget_remaining
from slo_status
where dt between $first_day and $last_day
order by slo, model_id, sli, dt;
