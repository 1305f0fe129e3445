-- Rows of slo_status: remaining error budget and burn rates of every objective.
-- grain: dt, slo, model_id
-- inputs: slos, slo_days (rows of sql/alerts/slo_events.sql from the longest window before $first_day on)
-- parameters: $first_day, $last_day
-- nulls: without an event there is no SLI and no burn rate; an objective without an event in any window has no row
with days as (
    select generate_series::date as dt
    from generate_series($first_day::date, $last_day::date, interval 1 day)
),

windows as (
    select
        d.dt,
        e.slo,
        e.model_id,
        s.sli,
        s.objective,
        s.period_days,
        coalesce(sum(e.good_count) filter (where e.dt = d.dt), 0) as good_count,
        coalesce(sum(e.total_count) filter (where e.dt = d.dt), 0) as total_count,
        coalesce(sum(e.good_count) filter (where e.dt > d.dt - s.period_days), 0) as period_good_count,
        coalesce(sum(e.total_count) filter (where e.dt > d.dt - s.period_days), 0) as period_total_count,
        sum(e.total_count - e.good_count) filter (where e.dt > d.dt - s.period_days)
        / sum(e.total_count) filter (where e.dt > d.dt - s.period_days) as period_bad_share,
        sum(e.total_count - e.good_count) filter (where e.dt = d.dt)
        / sum(e.total_count) filter (where e.dt = d.dt) as bad_share_1d,
        sum(e.total_count - e.good_count) filter (where e.dt > d.dt - 3)
        / sum(e.total_count) filter (where e.dt > d.dt - 3) as bad_share_3d,
        sum(e.total_count - e.good_count) filter (where e.dt > d.dt - 7)
        / sum(e.total_count) filter (where e.dt > d.dt - 7) as bad_share_7d,
        sum(e.total_count - e.good_count) filter (where e.dt > d.dt - 28)
        / sum(e.total_count) filter (where e.dt > d.dt - 28) as bad_share_28d
    from days as d
    inner join slo_days as e on e.dt <= d.dt
    inner join slos as s on e.slo = s.name
    where e.dt > d.dt - greatest(s.period_days, 28)
    group by d.dt, e.slo, e.model_id, s.sli, s.objective, s.period_days
),

burnt as (
    select
        *,
        -- rounding, so that binary fractions do not decide whether a budget is spent to the last event
        round(1 - period_bad_share / (1 - objective), 9) as budget_remaining,
        round(bad_share_1d / (1 - objective), 9) as burn_rate_1d,
        round(bad_share_3d / (1 - objective), 9) as burn_rate_3d,
        round(bad_share_7d / (1 - objective), 9) as burn_rate_7d,
        round(bad_share_28d / (1 - objective), 9) as burn_rate_28d
    from windows
)

select
    dt,
    slo,
    model_id,
    sli,
    objective,
    period_days,
    good_count::bigint as good_count,
    total_count::bigint as total_count,
    good_count / nullif(total_count, 0) as sli_value,
    period_good_count::bigint as period_good_count,
    period_total_count::bigint as period_total_count,
    budget_remaining,
    burn_rate_1d,
    burn_rate_3d,
    burn_rate_7d,
    burn_rate_28d,
    case
        when budget_remaining is null then 'no_data'
        when budget_remaining <= 0 then 'exhausted'
        when least(burn_rate_1d, burn_rate_3d) >= greatest(1, period_days / 10)
            and burn_rate_1d is not null then 'fast_burn'
        when burn_rate_7d >= 1 and burn_rate_28d >= 0.5 then 'slow_burn'
        else 'ok'
    end as state
from burnt
order by dt, slo, model_id;
