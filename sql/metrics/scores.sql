-- PSI of the scores of every model version against training, day by day.
-- grain: dt, model_id, model_version, deployment
-- inputs: prediction_drift
-- parameters: $first_day, $last_day, $window_days
select
    dt,
    model_id,
    model_version,
    deployment,
    value as psi
from prediction_drift
where
    dt between $first_day and $last_day
    and statistic = 'psi'
    and window_days = $window_days
    and segment = 'all'
    and reference = 'training'
    and outcome <> 'insufficient_data'
order by model_id, model_version, deployment, dt;
