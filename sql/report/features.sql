-- Every feature on a day, the most drifted first: what the heatmap is sorted by and what its table says.
-- grain: model_id, model_version, deployment, feature
-- inputs: feature_drift
-- parameters: $day, $window_days
-- nulls: psi is null where there is nothing to compare
select
    model_id,
    model_version,
    deployment,
    feature,
    max(value) filter (where statistic = 'psi') as psi,
    max(noise_floor) filter (where statistic = 'psi') as noise_floor,
    max(q_value) filter (where statistic = 'psi') as q_value,
    max(warn_threshold) filter (where statistic = 'psi') as warn_threshold,
    max(drift_threshold) filter (where statistic = 'psi') as drift_threshold,
    max(outcome) filter (where statistic = 'psi') as outcome,
    max(reason) filter (where statistic = 'psi') as reason,
    max(value) filter (where statistic = 'missing_rate_change') as missing_rate_change,
    max(current_count) as current_count,
    max(reference_count) as reference_count
from feature_drift
where dt = $day and window_days = $window_days and segment = 'all'
group by model_id, model_version, deployment, feature
order by model_id, deployment <> 'production', deployment, model_version, psi desc nulls last, feature;
