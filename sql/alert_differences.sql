-- What other rules would have raised beside what was raised: the same signal about the same thing on the same day.
-- grain: dt, signal, model_id, model_version, deployment, segment, feature, window_days, reference
-- inputs: trial_alerts (rows of sql/alerts.sql), alerts
-- parameters: $first_day, $last_day
with tried as (
    select
        dt,
        signal,
        model_id,
        model_version,
        deployment,
        segment,
        feature,
        window_days,
        reference,
        max(rule) as rule,
        max(value) as value,
        min(severity) as severity
    from trial_alerts
    where state <> 'resolved'
    group by all
),

raised as (
    select
        dt,
        signal,
        model_id,
        model_version,
        deployment,
        segment,
        feature,
        window_days,
        reference,
        max(rule) as rule,
        max(value) as value,
        min(severity) as severity
    from alerts
    where dt between $first_day and $last_day and state is distinct from 'resolved'
    group by all
)

select
    coalesce(t.dt, r.dt) as dt,
    case
        when r.dt is null then 'new'
        when t.dt is null then 'gone'
        when t.severity <> r.severity then 'other severity'
        else 'same'
    end as change,
    coalesce(t.rule, r.rule) as rule,
    coalesce(t.signal, r.signal) as signal,
    coalesce(t.model_id, r.model_id) as model_id,
    coalesce(t.model_version, r.model_version) as model_version,
    coalesce(t.deployment, r.deployment) as deployment,
    coalesce(t.segment, r.segment) as segment,
    coalesce(t.feature, r.feature) as feature,
    coalesce(t.value, r.value) as value,
    t.severity,
    r.severity as raised_severity
from tried as t
full outer join raised as r
    on t.dt = r.dt
    and t.signal = r.signal
    and t.model_id is not distinct from r.model_id
    and t.model_version is not distinct from r.model_version
    and t.deployment is not distinct from r.deployment
    and t.segment is not distinct from r.segment
    and t.feature is not distinct from r.feature
    and t.window_days is not distinct from r.window_days
    and t.reference is not distinct from r.reference
order by dt, change, rule, model_id, model_version, deployment, segment, feature;
