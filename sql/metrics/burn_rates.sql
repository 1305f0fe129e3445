-- How fast the error budgets burn over windows of several lengths, day by day.
-- grain: dt, slo, model_id, window
-- inputs: slo_status
-- parameters: $first_day, $last_day
-- nulls: burn_rate without events in the window
select
    dt,
    slo,
    model_id,
    sli,
    unnest(['1d', '3d', '7d', '28d']) as "window",
    unnest([burn_rate_1d, burn_rate_3d, burn_rate_7d, burn_rate_28d]) as burn_rate
from slo_status
where dt between $first_day and $last_day
order by slo, model_id, sli, "window", dt;
