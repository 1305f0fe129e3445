-- Signals of objectives: how fast their error budgets burn, and how much of them is spent.
-- grain: dt, signal, model_id, model_version, deployment, segment, feature, window_days, reference
-- inputs: slo_status
select
    dt,
    unnest(['slo_status.burn_rate', 'slo_status.budget_spent']) as signal,
    model_id,
    null::varchar as model_version,
    null::varchar as deployment,
    null::varchar as segment,
    slo as feature,
    1 as window_days,
    null::varchar as reference,
    -- both windows of the fast pair must burn, so that the alert ends soon after its cause
    unnest([least(burn_rate_1d, burn_rate_3d), 1 - budget_remaining]) as value,
    period_total_count as sample_count,
    null::double as noise_floor,
    format(
        'objective {} of {} ({} {:.4g}%): {:.0f}% of the error budget of {} days is spent; the burn rate is {:.1f}',
        slo,
        model_id,
        replace(sli, '_', ' '),
        100 * objective,
        100 * (1 - budget_remaining),
        period_days,
        least(burn_rate_1d, burn_rate_3d)
    ) as detail
from slo_status
where burn_rate_1d is not null and budget_remaining is not null;
