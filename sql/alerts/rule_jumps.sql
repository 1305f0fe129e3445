-- Days on which rules with an opening reference may open: the value jumped, and has been above warn ever since.
-- A jump means that the value is above warn against the opening reference as well, on as many days in a row as the
-- rule requires. Without a value against it, a new version jumps if the feature was not above warn before, and
-- otherwise continues.
-- grain: dt, rule, model_id, deployment, segment, feature, window_days, reference
-- inputs: watched_signals
-- nulls: segment and feature where a signal has none
with compared as (
    select
        *,
        bool_or(is_high) filter (where is_of_opening) over (
            partition by dt, rule, model_id, model_version, deployment, segment, feature, window_days
        ) as is_high_against_opening
    from watched_signals
    where opens_on_jump
),

-- all versions together
days as (
    select
        rule,
        model_id,
        deployment,
        segment,
        feature,
        window_days,
        reference,
        dt,
        any_value(days_needed) as days_needed,
        bool_or(is_high) as is_high,
        bool_or(is_high_against_opening) as is_high_against_opening
    from compared
    where is_of_rule
    group by rule, model_id, deployment, segment, feature, window_days, reference, dt
),

-- null means: as on the day before
jumps as (
    select
        *,
        case
            when is_high_against_opening is not null then is_high_against_opening
            when lag(dt) over what is null then false
            when not lag(is_high) over what then true
        end as has_jumped
    from days
    window what as (
        partition by rule, model_id, deployment, segment, feature, window_days, reference order by dt
    )
),

jump_days as (
    select * replace (is_high and last_value(has_jumped ignore nulls) over what as has_jumped)
    from jumps
    window what as (
        partition by rule, model_id, deployment, segment, feature, window_days, reference order by dt
    )
),

runs as (
    select
        *,
        count(*) filter (where not is_high) over so_far as spell,
        count(*) filter (where not has_jumped) over so_far as jump_run
    from jump_days
    window so_far as (
        partition by rule, model_id, deployment, segment, feature, window_days, reference order by dt
    )
),

counted as (
    select
        *,
        count(*) filter (where has_jumped) over (
            partition by rule, model_id, deployment, segment, feature, window_days, reference, jump_run order by dt
        ) as jump_day_count
    from runs
)

select
    dt,
    rule,
    model_id,
    deployment,
    segment,
    feature,
    window_days,
    reference
from counted
qualify
    has_jumped
    or max(if(is_high, jump_day_count, 0)) over (
        partition by rule, model_id, deployment, segment, feature, window_days, reference, spell order by dt
    ) >= days_needed;
