-- PSI against training of the features that drift, at most $feature_limit of every model version and day: those with the largest.
-- grain: dt, model_id, model_version, deployment, feature
-- inputs: feature_drift
-- parameters: $first_day, $last_day, $window_days, $feature_limit
select
    dt,
    model_id,
    model_version,
    deployment,
    feature,
    value as psi
from feature_drift
where
    dt between $first_day and $last_day
    and statistic = 'psi'
    and window_days = $window_days
    and segment = 'all'
    and reference = 'training'
    and outcome = 'drift'
qualify row_number() over (
    partition by dt, model_id, model_version, deployment
    order by value desc, feature
) <= $feature_limit
order by model_id, model_version, deployment, feature, dt;
