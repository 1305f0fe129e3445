-- Every measure of how well the model versions of a day do, over one window.
-- grain: model_id, model_version, deployment, statistic
-- inputs: model_quality
-- parameters: $day, $window_days
-- nulls: value is null where it cannot be computed, reason says why; baseline_value where nothing was promised
select
    model_id,
    model_version,
    deployment,
    statistic,
    starts_with(statistic, 'estimated_') as is_estimate,
    value,
    confidence_low,
    confidence_high,
    interval_unit,
    baseline_value,
    label_count,
    prediction_count,
    reason
from model_quality
where dt = $day and window_days = $window_days and segment = 'all'
order by
    model_id,
    deployment <> 'production',
    deployment,
    model_version,
    is_estimate,
    statistic not in ('auc', 'mean_absolute_error'),
    statistic;
