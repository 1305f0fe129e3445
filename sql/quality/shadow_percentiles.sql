-- Percentiles of the differences of paired scores in every window: the middle of the bin that holds the rank.
-- grain: dt, window_days, model_id, model_version, deployment, production_version
-- inputs: shadow_differences
-- parameters: $first_day, $last_day, $windows_days
with summed as (
    select
        w.dt,
        w.window_days,
        s.model_id,
        s.model_version,
        s.deployment,
        s.production_version,
        s.bin_id,
        any_value(s.difference) as difference,
        sum(s.row_count) as row_count
    from windows_of($first_day, $last_day, $windows_days) as w
    inner join shadow_differences as s on s.dt > w.dt - w.window_days and s.dt <= w.dt
    group by w.dt, w.window_days, s.model_id, s.model_version, s.deployment, s.production_version, s.bin_id
),

ranked as (
    select
        *,
        sum(row_count) over (
            partition by dt, window_days, model_id, model_version, deployment, production_version
            order by bin_id
        ) as cumulative_count,
        sum(row_count) over (
            partition by dt, window_days, model_id, model_version, deployment, production_version
        ) as total_count
    from summed
)

select
    dt,
    window_days,
    model_id,
    model_version,
    deployment,
    production_version,
    min(difference) filter (where cumulative_count >= 0.05 * total_count) as difference_p05,
    min(difference) filter (where cumulative_count >= 0.50 * total_count) as difference_p50,
    min(difference) filter (where cumulative_count >= 0.95 * total_count) as difference_p95
from ranked
group by dt, window_days, model_id, model_version, deployment, production_version
order by dt, window_days, model_id, model_version, deployment, production_version;
