-- Evidence for alerts on drift: slow growth. At least half of the drift was there a window earlier, a quarter two windows earlier.
-- grain: incident_id, subject, known_on, window_days
-- inputs: incident_alerts, feature_drift, prediction_drift
with drifted as (
    select distinct
        incident_id,
        model_id,
        model_version,
        deployment,
        split_part(signal, '.', 2) as statistic,
        coalesce(feature, 'score') as feature,
        window_days,
        opened_on
    from incident_alerts
    where (signal like 'feature_drift.%' or signal like 'prediction_drift.%') and coalesce(segment, 'all') = 'all' and opened_on <= until_on
),

shifts as (
    select
        dt,
        model_id,
        model_version,
        deployment,
        segment,
        feature,
        window_days,
        reference,
        statistic,
        outcome,
        value
    from feature_drift
    where dt between (select min(d.opened_on - 2 * greatest(d.window_days, 7)) from drifted as d)
    and (select max(d.opened_on) from drifted as d)
    union all
    select
        dt,
        model_id,
        model_version,
        deployment,
        segment,
        'score' as feature,
        window_days,
        reference,
        statistic,
        outcome,
        value
    from prediction_drift
),

compared_values as (
    select
        d.incident_id,
        d.opened_on,
        s.feature,
        s.statistic,
        s.window_days,
        max(s.value) filter (where s.dt = d.opened_on) as value,
        -- at least a week, because a jump is also older than a day when a rule opens
        max(s.value) filter (where s.dt = d.opened_on - greatest(s.window_days, 7)) as value_before,
        max(s.value) filter (where s.dt = d.opened_on - 2 * greatest(s.window_days, 7)) as value_earlier
    from drifted as d
    inner join shifts as s
        on d.model_id = s.model_id
        and d.model_version = s.model_version
        and d.deployment = s.deployment
        and d.feature = s.feature
        and d.statistic = s.statistic
        and d.window_days = s.window_days
        and (d.opened_on - s.dt) in (0, greatest(s.window_days, 7), 2 * greatest(s.window_days, 7))
    where s.segment = 'all' and s.reference = 'training' and s.outcome <> 'insufficient_data'
    group by d.incident_id, d.opened_on, s.feature, s.statistic, s.window_days
)

select
    incident_id,
    feature as subject,
    opened_on as known_on,
    1.0::double as strength,
    statistic,
    window_days,
    value,
    value_before,
    value_earlier
from compared_values
where value >= value_before and value_before >= value / 2 and value_before >= value_earlier and value_earlier >= value / 4;
