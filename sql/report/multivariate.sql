-- Multivariate drift of each version.
-- grain: model_id, model_version, deployment
-- inputs: multivariate_drift
-- parameters: $day, $window_days
-- nulls: error_shift and noise_floor are null where they could not be computed; reason says why
select
    model_id,
    model_version,
    deployment,
    error_shift,
    noise_floor,
    p_value,
    current_count,
    outcome,
    reason
from multivariate_drift
where dt = $day and window_days = $window_days
order by model_id, deployment <> 'production', deployment, model_version;
