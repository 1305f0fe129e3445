-- Predictions of every model version, day by day.
-- grain: dt, model_id, model_version, deployment
-- inputs: prediction_volume
-- parameters: $first_day, $last_day
select
    dt,
    model_id,
    model_version,
    deployment,
    prediction_count
from prediction_volume
where dt between $first_day and $last_day
order by model_id, model_version, deployment, dt;
