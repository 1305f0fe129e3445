-- The tested performance of every model version over time, as in its verdicts of these days.
-- grain: dt, model_id, model_version, deployment
-- inputs: model_verdicts
-- parameters: $first_day, $last_day
-- nulls: confidence_low and confidence_high where there is no interval yet
select
    v.dt,
    v.model_id,
    v.model_version,
    v.deployment,
    v.statistic,
    v.value,
    v.confidence_low,
    v.confidence_high,
    v.baseline_value
from model_verdicts as v
inner join model_verdicts as newest
    on v.model_id = newest.model_id
    and v.model_version = newest.model_version
    and v.deployment = newest.deployment
    -- a version may be tested by another statistic than before
    and v.statistic = newest.statistic
    and newest.dt = $last_day
where v.dt between $first_day and $last_day and v.value is not null
order by v.model_id, v.model_version, v.deployment, v.dt;
