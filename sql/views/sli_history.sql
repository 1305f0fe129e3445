-- What has every signal that an alert rule can watch been, day by day? Larger is worse; days without a value are left out.
create or replace view sli_history as
with drift as (
    select
        dt,
        'feature_drift' as source,
        statistic,
        model_id,
        model_version,
        deployment,
        segment,
        feature,
        window_days,
        reference,
        value,
        current_count,
        noise_floor,
        warn_threshold,
        outcome
    from feature_drift
    union all
    select
        dt,
        'prediction_drift' as source,
        statistic,
        model_id,
        model_version,
        deployment,
        segment,
        null as feature,
        window_days,
        reference,
        value,
        current_count,
        noise_floor,
        warn_threshold,
        outcome
    from prediction_drift
)

select
    dt,
    source || '.' || statistic as signal,
    model_id,
    model_version,
    deployment,
    segment,
    feature,
    window_days,
    reference,
    -- a rate that falls is a change too
    abs(value) as value,
    current_count as sample_count,
    noise_floor,
    null::varchar as detail
from drift
where
    outcome <> 'insufficient_data'
    -- above its threshold and stable all the same: noise, and no signal
    and (outcome <> 'stable' or abs(value) < warn_threshold)
union all
select
    dt,
    case statistic
        when 'auc' then 'model_quality.auc_drop'
        when 'estimated_auc' then 'model_quality.estimated_auc_drop'
        when 'positive_rate' then 'model_quality.positive_rate_change'
        else 'model_quality.absolute_error_increase'
    end as signal,
    model_id,
    model_version,
    deployment,
    segment,
    null as feature,
    window_days,
    null as reference,
    case statistic
        when 'positive_rate' then abs(value - baseline_value)
        -- errors have the unit of the label, so what rules watch is relative
        when 'mean_absolute_error' then drop_from_baseline / nullif(baseline_value, 0)
        else drop_from_baseline
    end as value,
    if(statistic = 'estimated_auc', prediction_count, label_count) as sample_count,
    -- half the width of the interval: a change inside it may be chance
    (confidence_high - confidence_low) / 2
    / if(statistic = 'mean_absolute_error', nullif(baseline_value, 0), 1) as noise_floor,
    null as detail
from model_quality
where
    statistic in ('auc', 'estimated_auc', 'positive_rate', 'mean_absolute_error')
    and value is not null
    and baseline_value is not null
union all
select
    dt,
    'importance_drift.ndcg_loss' as signal,
    model_id,
    model_version,
    deployment,
    segment,
    null as feature,
    window_days,
    reference,
    1 - value as value,
    current_count as sample_count,
    null as noise_floor,
    null as detail
from importance_drift
where statistic = 'ndcg' and value is not null
union all
select
    dt,
    'rare_combinations.count' as signal,
    model_id,
    model_version,
    deployment,
    'all' as segment,
    null as feature,
    window_days,
    'training' as reference,
    count(*) as value,
    max(current_size) as sample_count,
    null as noise_floor,
    format(
        -- no category is named: few rows may tell who they are about
        '{} {} ({}): {} combinations of features that are rare in training came up, above all of {} and {} ({} rows, {:.1f} expected)',
        model_id,
        model_version,
        deployment,
        count(*),
        arg_min(feature_a, p_value),
        arg_min(feature_b, p_value),
        arg_min(current_count, p_value),
        arg_min(expected_count, p_value)
    ) as detail
from rare_combinations
group by dt, model_id, model_version, deployment, window_days
union all
select
    dt,
    'multivariate_drift.error_shift' as signal,
    model_id,
    model_version,
    deployment,
    'all' as segment,
    null as feature,
    window_days,
    'training' as reference,
    -- rows that training describes better than its own are a change too
    abs(error_shift) as value,
    current_count as sample_count,
    noise_floor,
    null as detail
from multivariate_drift
where error_shift is not null
union all
select
    dt,
    'label_backlog.overdue_share' as signal,
    model_id,
    model_version,
    deployment,
    segment,
    null as feature,
    1 as window_days,
    null as reference,
    overdue_share as value,
    coalesce(sampled_count, prediction_count) as sample_count,
    null as noise_floor,
    null as detail
from label_backlog
where
    age_bucket = 'all'
    and overdue_share is not null
    -- of a version that predicts no more, only what never gets a label is left after a while
    and (dt, model_id, model_version, deployment, segment) in (
        select (y.dt, y.model_id, y.model_version, y.deployment, y.segment)
        from label_backlog as y
        where y.age_bucket = '0'
    )
union all
select
    dt,
    'shadow_comparison.' || if(statistic = 'auc_difference', 'auc_loss', 'disagreement_share') as signal,
    model_id,
    model_version,
    deployment,
    'all' as segment,
    -- a candidate may have met two production versions in one window
    production_version as feature,
    window_days,
    null as reference,
    if(statistic = 'auc_difference', -value, 1 - value) as value,
    if(statistic = 'auc_difference', positive_count + negative_count, paired_count) as sample_count,
    -- half the width of the interval: a loss inside it may be chance, a disagreement is one whatever its interval
    if(statistic = 'auc_difference', (confidence_high - confidence_low) / 2, null) as noise_floor,
    null as detail
from shadow_comparison
where statistic in ('agreement_share', 'auc_difference') and value is not null
union all
select
    l.dt,
    'service_levels.p95_ms' as signal,
    l.model_id,
    l.model_version,
    l.deployment,
    l.segment,
    l.metric as feature,
    1 as window_days,
    null as reference,
    l.p95_ms as value,
    l.row_count as sample_count,
    null as noise_floor,
    -- which stage it was, if the whole has grown
    if(
        l.change_ms > 0 and s.change_ms > 0,
        format(
            'the 95th percentile of {} of {} {} ({}) is {:.3g} ms, usually {:.3g} ms; {} moved most: {:.3g} ms, usually {:.3g} ms',
            l.metric,
            l.model_id,
            l.model_version,
            l.deployment || if(l.segment = 'all', '', ', ' || l.segment),
            l.p95_ms,
            l.usual_p95_ms,
            s.metric,
            s.p95_ms,
            s.usual_p95_ms
        ),
        null
    ) as detail
from latency_changes as l
left join latency_changes as s
    on l.dt = s.dt
    and l.model_id = s.model_id
    and l.model_version = s.model_version
    and l.deployment = s.deployment
    and l.segment = s.segment
    and l.metric = 'latency_ms'
    and s.moved_place = 1
union all
select
    dt,
    unnest(['slo_status.burn_rate', 'slo_status.budget_spent']) as signal,
    model_id,
    null as model_version,
    null as deployment,
    null as segment,
    slo as feature,
    1 as window_days,
    null as reference,
    -- both windows of the fast pair burn, so that it ends soon after what caused it
    unnest([least(burn_rate_1d, burn_rate_3d), 1 - budget_remaining]) as value,
    period_total_count as sample_count,
    null as noise_floor,
    format(
        'objective {} of {} ({} {:.4g}%): {:.0f}% of the error budget of {} days is spent, and it burns {:.1f} times as fast as it may',
        slo,
        model_id,
        replace(sli, '_', ' '),
        100 * objective,
        100 * (1 - budget_remaining),
        period_days,
        least(burn_rate_1d, burn_rate_3d)
    ) as detail
from slo_status
where burn_rate_1d is not null and budget_remaining is not null
union all
select
    dt,
    'contract_checks.failed' as signal,
    model_id,
    model_version,
    null as deployment,
    null as segment,
    source || '.' || expectation || coalesce('.' || column_name, '') as feature,
    1 as window_days,
    null as reference,
    count(*) as value,
    max(checked_count) as sample_count,
    null as noise_floor,
    min(message) as detail
from contract_checks
where outcome = 'failed' and severity = 'error'
group by dt, model_id, model_version, source, expectation, column_name
union all
select
    dt,
    'contract_checks.warning_share' as signal,
    model_id,
    model_version,
    null as deployment,
    null as segment,
    source || '.' || expectation || coalesce('.' || column_name, '') as feature,
    1 as window_days,
    null as reference,
    -- a day that is not there has no rows to be a share of
    max(if(checked_count = 0, 1, unexpected_count / checked_count)) as value,
    max(checked_count) as sample_count,
    null as noise_floor,
    min(message) as detail
from contract_checks
where
    outcome = 'failed'
    and severity = 'warning'
    -- how often features are missing is a statistic of drift, with rules of its own
    and expectation <> 'feature_is_as_complete_as_in_training'
group by dt, model_id, model_version, source, expectation, column_name
union all
select
    dt,
    'schema_changes.' || change as signal,
    model_id,
    model_version,
    null as deployment,
    null as segment,
    -- a row per column, so that an alert says since when for each
    column_name as feature,
    1 as window_days,
    null as reference,
    count(*) over (partition by dt, model_id, model_version, change) as value,
    max(row_count) as sample_count,
    null as noise_floor,
    min(message) as detail
from schema_changes
group by dt, model_id, model_version, change, column_name;
