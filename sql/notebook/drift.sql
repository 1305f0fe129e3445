-- Rows of feature_drift and, with the feature 'score', of prediction_drift.
-- grain: dt, model_id, model_version, deployment, segment, feature, window_days, reference, statistic
-- inputs: feature_drift, prediction_drift, newest_day
-- parameters: $model_id, $model_version, $feature, $segment, each null for all; $first_day, $last_day, null for the newest day
with drift as (
    select *
    from feature_drift
    union all by name
    select
        *,
        'score' as feature
    from prediction_drift
)

select *
from drift
where
    model_id = coalesce($model_id, model_id)
    and model_version = coalesce($model_version, model_version)
    and feature = coalesce($feature, feature)
    and segment = coalesce($segment, segment)
    and dt between coalesce($first_day, (select n.dt from newest_day as n))
    and coalesce($last_day, (select n.dt from newest_day as n))
order by dt, model_id, model_version, deployment, segment, feature, window_days, reference, statistic;
