-- Rows of alerts: every alert day by day, open on its first day, then ongoing, and resolved on its last day.
-- A rule opens after its number of days in a row above warn; a rule with an opening reference opens on a jump. It
-- stays open while the value is at least resolve, and through a few days without a value.
-- grain: dt, rule, model_id, model_version, deployment, segment, feature, window_days, reference
-- inputs: watched_signals, rule_jumps
-- parameters: $first_day, $last_day
-- nulls: deployment, segment, feature and reference where a signal has none
with watched as (
    select
        w.*,
        -- rows of all predictions together, for rows of a segment
        max(w.sample_count) filter (where w.segment = 'all') over (
            partition by
                w.dt, w.rule, w.model_id, w.model_version, w.deployment, w.feature, w.window_days, w.reference
        ) as whole_count,
        w.is_high and (j.dt is not null or not w.opens_on_jump) as is_above
    from watched_signals as w
    left join rule_jumps as j
        on w.dt = j.dt
        and w.rule = j.rule
        and w.model_id = j.model_id
        and w.deployment = j.deployment
        and w.segment = j.segment
        and w.feature is not distinct from j.feature
        and w.window_days = j.window_days
        and w.reference = j.reference
    where w.is_of_rule
),

-- consecutive days have the same difference to their rank, so they are in one group
islands as (
    select
        *,
        dt - (row_number() over what)::integer as island
    from watched
    window what as (
        partition by
            rule, model_id, model_version, deployment, segment, feature, window_days, reference, is_above
        order by dt
    )
),

runs as (
    select
        *,
        min(dt) over run as run_from,
        coalesce(lead(dt) over what, $last_day + 1) as next_on
    from islands
    window
        run as (
            partition by
                rule,
                model_id,
                model_version,
                deployment,
                segment,
                feature,
                window_days,
                reference,
                is_above,
                island
        ),
        what as (
            partition by rule, model_id, model_version, deployment, segment, feature, window_days, reference
            order by dt
        )
),

openings as (
    select
        *,
        is_above and dt - run_from + 1 >= days_needed as is_opening
    from runs
    qualify bool_or(is_above and dt - run_from + 1 >= days_needed) over (
        partition by rule, model_id, model_version, deployment, segment, feature, window_days, reference
    )
),

-- a day without a value repeats the last value until the rule resolves the alert
silences as (
    select
        *,
        dt as valued_on,
        unnest(range(least(next_on - dt, resolve_after_days + 1)))::integer as silent_days
    from openings
),

marks as (
    select
        * exclude (dt),
        valued_on + silent_days as dt,
        case
            when silent_days = resolve_after_days then false
            when silent_days > 0 then null
            when is_opening then true
            when is_clear then false
        end as mark
    from silences
),

numbered as (
    select
        *,
        count(*) filter (where not mark) over before as life
    from marks
    window before as (
        partition by rule, model_id, model_version, deployment, segment, feature, window_days, reference
        order by dt
        rows between unbounded preceding and 1 preceding
    )
),

lives as (
    select
        *,
        min(dt) filter (where mark) over so_far as opened_on,
        min(run_from) filter (where mark) over so_far as since_on
    from numbered
    window so_far as (
        partition by rule, model_id, model_version, deployment, segment, feature, window_days, reference, life
        order by dt
    )
)

select
    dt,
    rule,
    kind,
    pages,
    signal,
    if(value >= critical, 'critical', 'warn') as severity,
    case
        when not mark then 'resolved'
        when dt = opened_on then 'open'
        else 'ongoing'
    end as state,
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
    whole_count,
    noise_floor,
    since_on,
    opened_on,
    valued_on,
    (dt - since_on + 1)::integer as consecutive_days,
    owner,
    runbook,
    detail
from lives
where opened_on is not null and dt between $first_day and $last_day
order by dt, rule, model_id, model_version, deployment, segment, feature, window_days, reference;
