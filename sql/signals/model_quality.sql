-- Signals of quality: how far AUC, share of positive labels and error are from their baselines.
-- grain: dt, signal, model_id, model_version, deployment, segment, feature, window_days, reference
-- inputs: model_quality
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
    null::varchar as feature,
    window_days,
    null::varchar as reference,
    case statistic
        when 'positive_rate' then abs(value - baseline_value)
        -- errors have the unit of the label, so rules watch the relative increase
        when 'mean_absolute_error' then drop_from_baseline / nullif(baseline_value, 0)
        else drop_from_baseline
    end as value,
    if(statistic = 'estimated_auc', prediction_count, label_count) as sample_count,
    -- half the width of the interval: a change inside it may be chance
    (confidence_high - confidence_low) / 2
    / if(statistic = 'mean_absolute_error', nullif(baseline_value, 0), 1) as noise_floor,
    null::varchar as detail
from model_quality
where
    statistic in ('auc', 'estimated_auc', 'positive_rate', 'mean_absolute_error')
    and value is not null
    and baseline_value is not null;
