-- Every feature on a day, the most drifted first: the order of the heatmap and the rows of its table.
-- grain: model_id, model_version, deployment, feature
-- inputs: drift_by_feature
-- parameters: $day, $window_days
-- nulls: psi is null where there is nothing to compare
select
    model_id,
    model_version,
    deployment,
    feature,
    psi,
    psi_noise_floor as noise_floor,
    psi_q_value as q_value,
    psi_warn_threshold as warn_threshold,
    psi_drift_threshold as drift_threshold,
    outcome,
    reason,
    missing_rate_change,
    current_count,
    reference_count
from drift_by_feature
where dt = $day and window_days = $window_days and segment = 'all' and reference = 'training'
order by model_id, deployment <> 'production', deployment, model_version, psi desc nulls last, feature;
