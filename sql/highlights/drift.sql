-- Drift of each day in words: the three features with the largest PSI over the headline window.
-- grain: dt
-- inputs: feature_drift
-- parameters: $first_day, $last_day, $window_days
with ranked as (
    select
        dt,
        model_version,
        feature,
        value,
        outcome,
        row_number() over (partition by dt order by value desc) as place
    from feature_drift
    where
        statistic = 'psi'
        and segment = 'all'
        and reference = 'training'
        and outcome <> 'insufficient_data'
        and window_days = $window_days
        and dt between $first_day and $last_day
)

select
    dt,
    count(*) filter (where outcome = 'drift') as drifted_features,
    string_agg(printf('%s (%s) %.2f', feature, model_version, value), ', ' order by place) filter (where place <= 3)
        as worst_psi
from ranked
group by dt;
