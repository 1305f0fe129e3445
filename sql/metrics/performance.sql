-- Performance of every model version by labels and estimates, with its interval and what it is tested against, day by day.
-- grain: dt, model_id, model_version, deployment, statistic
-- inputs: performance
-- parameters: $first_day, $last_day
-- nulls: confidence_low and confidence_high with too few days; baseline_value, tolerance and loss_evidence if it is not tested
select
    dt,
    model_id,
    model_version,
    deployment,
    statistic,
    value,
    confidence_low,
    confidence_high,
    baseline_value,
    tolerance,
    loss_evidence
from performance
where dt between $first_day and $last_day and basis = 'combined' and value is not null
order by model_id, model_version, deployment, statistic, dt;
