-- The worst PSI of the features of every model version against training, and the number of features that drift, day by day.
-- grain: dt, model_id, model_version, deployment
-- inputs: feature_drift
-- parameters: $first_day, $last_day, $window_days
select
    dt,
    model_id,
    model_version,
    deployment,
    max(value) as worst_psi,
    count(*) filter (where outcome = 'drift') as drifting_count
from feature_drift
where
    dt between $first_day and $last_day
    and statistic = 'psi'
    and window_days = $window_days
    and segment = 'all'
    and reference = 'training'
    and outcome <> 'insufficient_data'
group by dt, model_id, model_version, deployment
order by model_id, model_version, deployment, dt;
