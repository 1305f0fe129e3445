-- Sampling rates of the days that were not counted completely.
-- grain: dt, model_id, model_version, deployment
-- inputs: sampling_rates
-- parameters: $first_day, $last_day
select
    dt,
    model_id,
    model_version,
    deployment,
    sampling_rate
from sampling_rates
where dt between $first_day and $last_day and sampling_rate < 1
order by dt, model_id, model_version, deployment;
