-- Rows of alerts: rules that fire on a day, with the first day of the unbroken run above the warn threshold.
-- grain: dt, rule, model_id, model_version, deployment, segment, feature, window_days, reference
-- inputs: sli_history, alert_rules
-- parameters: $first_day, $last_day
with exceeding as (
    select
        s.*,
        r.name as rule,
        r.warn,
        r.critical,
        r.consecutive_days as days_needed,
        r.owner,
        r.runbook
    from sli_history as s
    inner join alert_rules as r
        on s.signal = r.signal
        and (s.window_days = r.window_days or not r.is_windowed)
        and (s.deployment is null or list_contains(r.deployments, s.deployment))
        and (s.reference is null or list_contains(r.reference_names, s.reference))
        and (s.segment is null or s.segment = 'all' or r.each_segment)
    where
        s.dt <= $last_day
        and s.value >= r.warn
        and s.sample_count >= r.minimum_sample
        and (s.noise_floor is null or s.value > s.noise_floor)
),

-- consecutive days keep the same distance to their rank, so they share an island
islands as (
    select
        *,
        dt - (row_number() over what)::integer as island
    from exceeding
    window what as (
        partition by rule, model_id, model_version, deployment, segment, feature, window_days, reference
        order by dt
    )
),

runs as (
    select
        *,
        min(dt) over run as since_on,
        (dt - min(dt) over run + 1)::integer as consecutive_days
    from islands
    window run as (
        partition by rule, model_id, model_version, deployment, segment, feature, window_days, reference, island
    )
)

select
    dt,
    rule,
    signal,
    if(value >= critical, 'critical', 'warn') as severity,
    model_id,
    model_version,
    deployment,
    segment,
    feature,
    window_days,
    reference,
    value,
    if(value >= critical, critical, warn) as threshold,
    sample_count,
    noise_floor,
    since_on,
    consecutive_days,
    owner,
    runbook,
    detail
from runs
where consecutive_days >= days_needed and dt between $first_day and $last_day
order by dt, rule, model_id, model_version, deployment, segment, feature, window_days, reference;
