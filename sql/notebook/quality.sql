-- Rows of model_quality.
-- grain: dt, model_id, model_version, deployment, segment, window_days, statistic
-- inputs: model_quality, newest_day
-- parameters: $model_id, $model_version, $segment, each null for all; $first_day, $last_day, null for the newest day
select *
from model_quality
where
    model_id = coalesce($model_id, model_id)
    and model_version = coalesce($model_version, model_version)
    and segment = coalesce($segment, segment)
    and dt between coalesce($first_day, (select n.dt from newest_day as n))
    and coalesce($last_day, (select n.dt from newest_day as n))
order by dt, model_id, model_version, deployment, segment, window_days, statistic;
