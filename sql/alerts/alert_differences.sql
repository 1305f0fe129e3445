-- Compares the alerts that other rules would have raised with those that were raised: the same signal about the same thing on the same day.
-- grain: dt, signal, model_id, model_version, deployment, segment, feature, window_days, reference
-- inputs: replayed_alerts (rows of sql/alerts/alerts.sql), alerts
-- parameters: $first_day, $last_day
with all_alerts as (
    select
        *,
        true as is_replayed
    from replayed_alerts
    where state <> 'resolved'
    union all by name
    select
        *,
        false as is_replayed
    from alerts
    where dt between $first_day and $last_day and state is distinct from 'resolved'
),

compared as (
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
        max(rule) filter (where is_replayed) as replayed_rule,
        max(rule) as any_rule,
        max(value) filter (where is_replayed) as replayed_value,
        max(value) as any_value,
        min(severity) filter (where is_replayed) as severity,
        min(severity) filter (where not is_replayed) as raised_severity
    from all_alerts
    group by all
)

select
    dt,
    case
        when raised_severity is null then 'new'
        when severity is null then 'gone'
        when severity <> raised_severity then 'other severity'
        else 'same'
    end as change,
    coalesce(replayed_rule, any_rule) as rule,
    signal,
    model_id,
    model_version,
    deployment,
    segment,
    feature,
    coalesce(replayed_value, any_value) as value,
    severity,
    raised_severity
from compared
order by dt, change, rule, model_id, model_version, deployment, segment, feature;
