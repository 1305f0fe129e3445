-- Ranking quality of each day in words: AUC over the headline window.
-- grain: dt
-- inputs: model_quality
-- parameters: $first_day, $last_day, $window_days
select
    dt,
    string_agg(
        printf('%s %s (%s) %.3f', model_id, model_version, deployment, value), ', '
        order by model_id, model_version, deployment
    ) as auc
from model_quality
where
    statistic = 'auc'
    and segment = 'all'
    and value is not null
    and window_days = $window_days
    and dt between $first_day and $last_day
group by dt;
