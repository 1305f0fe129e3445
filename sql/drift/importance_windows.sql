-- SHAP sums per feature of every window and of the window before it.
-- grain: dt, window_days, model_id, model_version, deployment, segment, feature
-- inputs: importance_profile, groups (model_id, model_version, deployment, segment)
-- parameters: $first_day, $last_day, $windows_days
with placed as (
    select
        w.dt,
        w.window_days,
        p.* exclude (dt),
        p.dt > w.dt - w.window_days as is_current,
        p.dt = w.dt as is_last_day,
        p.dt as profile_on
    from windows_of($first_day, $last_day, $windows_days) as w
    inner join importance_profile as p on p.dt > w.dt - 2 * w.window_days and p.dt <= w.dt
    semi join groups as g
        on p.model_id = g.model_id
        and p.model_version = g.model_version
        and p.deployment = g.deployment
        and p.segment = g.segment
)

select
    dt,
    window_days,
    model_id,
    model_version,
    deployment,
    segment,
    feature,
    coalesce(sum(row_count) filter (where is_current), 0)::bigint as current_count,
    count(distinct profile_on) filter (where is_current)::integer as current_day_count,
    -- decimals, because a sum of floats depends on the order of the rows and a rerun must give the same
    coalesce(sum(try_cast(absolute_sum as decimal(38, 15))) filter (where is_current), 0)::double as current_sum,
    coalesce(sum(row_count) filter (where not is_current), 0)::bigint as preceding_count,
    count(distinct profile_on) filter (where not is_current)::integer as preceding_day_count,
    coalesce(sum(try_cast(absolute_sum as decimal(38, 15))) filter (where not is_current), 0)::double as preceding_sum
from placed
group by dt, window_days, model_id, model_version, deployment, segment, feature
-- a window has a row only on days that have predictions themselves
qualify bool_or(bool_or(is_last_day)) over (partition by dt, window_days, model_id, model_version, deployment, segment)
order by dt, window_days, model_id, model_version, deployment, segment, feature;
