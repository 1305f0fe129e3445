-- Predictions per day of every model version and deployment, and the number that are counted.
-- grain: dt, model_id, model_version, deployment
-- inputs: prediction_volume
-- parameters: $first_day, $last_day
select
    dt,
    model_id,
    model_version,
    deployment,
    prediction_count,
    sampled_count
from prediction_volume
where dt between $first_day and $last_day
order by dt, model_id, model_version, deployment;
