-- Combinations of the configured pairs that occur in a window or in training, with both counts.
-- grain: dt, window_days, model_id, model_version, deployment, feature_a, feature_b, bin_a, bin_b
-- inputs: pair_profile, reference_pair_profile, configured_pairs (model_id, feature_a, feature_b)
-- parameters: $first_day, $last_day, $windows_days
with profiles as (
    select
        w.dt,
        w.window_days,
        p.* exclude (dt, segment),
        p.dt as profile_on
    from windows_of($first_day, $last_day, $windows_days) as w
    inner join pair_profile as p on p.dt > w.dt - w.window_days and p.dt <= w.dt
    inner join configured_pairs as c
        on p.model_id = c.model_id and p.feature_a = c.feature_a and p.feature_b = c.feature_b
    where p.segment = 'all'
),

-- a window has a row only on days that have predictions themselves
sizes as (
    select
        dt,
        window_days,
        model_id,
        model_version,
        deployment,
        feature_a,
        feature_b,
        sum(row_count)::bigint as current_size,
        count(distinct profile_on)::integer as current_day_count
    from profiles
    group by dt, window_days, model_id, model_version, deployment, feature_a, feature_b
    having max(profile_on) = dt
),

reference_sizes as (
    select
        model_id,
        model_version,
        feature_a,
        feature_b,
        sum(row_count)::bigint as reference_size
    from reference_pair_profile
    group by model_id, model_version, feature_a, feature_b
),

counted as (
    select
        dt,
        window_days,
        model_id,
        model_version,
        deployment,
        feature_a,
        feature_b,
        bin_a,
        bin_b,
        sum(row_count) as current_count,
        0 as reference_count
    from profiles
    group by dt, window_days, model_id, model_version, deployment, feature_a, feature_b, bin_a, bin_b
    union all
    select
        s.dt,
        s.window_days,
        s.model_id,
        s.model_version,
        s.deployment,
        s.feature_a,
        s.feature_b,
        t.bin_a,
        t.bin_b,
        0 as current_count,
        t.row_count as reference_count
    from sizes as s
    inner join reference_pair_profile as t
        on s.model_id = t.model_id
        and s.model_version = t.model_version
        and s.feature_a = t.feature_a
        and s.feature_b = t.feature_b
)

select
    c.dt,
    c.window_days,
    c.model_id,
    c.model_version,
    c.deployment,
    c.feature_a,
    c.feature_b,
    c.bin_a,
    c.bin_b,
    sum(c.current_count)::bigint as current_count,
    sum(c.reference_count)::bigint as reference_count,
    s.current_size,
    s.current_day_count,
    t.reference_size
from counted as c
inner join sizes as s
    on c.dt = s.dt
    and c.window_days = s.window_days
    and c.model_id = s.model_id
    and c.model_version = s.model_version
    and c.deployment = s.deployment
    and c.feature_a = s.feature_a
    and c.feature_b = s.feature_b
inner join reference_sizes as t
    on c.model_id = t.model_id
    and c.model_version = t.model_version
    and c.feature_a = t.feature_a
    and c.feature_b = t.feature_b
group by
    c.dt, c.window_days, c.model_id, c.model_version, c.deployment, c.feature_a, c.feature_b, c.bin_a, c.bin_b,
    s.current_size, s.current_day_count, t.reference_size
order by
    c.dt, c.window_days, c.model_id, c.model_version, c.deployment, c.feature_a, c.feature_b, c.bin_a, c.bin_b;
