-- Spells of unchanged drift level of every feature: consecutive days whose PSI lies in one class of the colour scale.
-- grain: model_id, model_version, deployment, feature, first_on
-- inputs: feature_drift
-- parameters: $first_day, $last_day, $window_days
with levels as (
    select
        dt,
        model_id,
        model_version,
        deployment,
        feature,
        case
            when outcome = 'insufficient_data' then 'insufficient'
            -- four times the drift threshold has a separate colour, so that smaller values stay distinguishable
            when outcome = 'drift' and value >= 4 * drift_threshold then 'strong'
            when outcome in ('drift', 'warn') then outcome
            when value > noise_floor and value < warn_threshold then 'stable'
            else 'noise'
        end as level
    from feature_drift
    where
        dt between $first_day and $last_day
        and statistic = 'psi'
        and window_days = $window_days
        and segment = 'all'
        and reference = 'training'
),

-- consecutive days have the same difference to their rank, so they are in one group
islands as (
    select
        *,
        dt - (row_number() over (
            partition by model_id, model_version, deployment, feature, level
            order by dt
        ))::integer as island
    from levels
)

select
    model_id,
    model_version,
    deployment,
    feature,
    level,
    min(dt) as first_on,
    max(dt) as last_on
from islands
group by model_id, model_version, deployment, feature, level, island
order by model_id, model_version, deployment, feature, first_on;
