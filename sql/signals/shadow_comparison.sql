-- Signals of a candidate against production: how often they disagree, and how much worse it ranks.
-- grain: dt, signal, model_id, model_version, deployment, segment, feature, window_days, reference
-- inputs: shadow_comparison
select
    dt,
    if(
        statistic = 'auc_difference', 'shadow_comparison.auc_loss', 'shadow_comparison.disagreement_share'
    ) as signal,
    model_id,
    model_version,
    deployment,
    'all' as segment,
    -- a candidate may be compared with two production versions in one window
    production_version as feature,
    window_days,
    null::varchar as reference,
    if(statistic = 'auc_difference', -value, 1 - value) as value,
    if(statistic = 'auc_difference', positive_count + negative_count, paired_count) as sample_count,
    -- half the width of the interval: a loss inside it may be chance; a disagreement counts whatever its interval
    if(statistic = 'auc_difference', (confidence_high - confidence_low) / 2, null) as noise_floor,
    null::varchar as detail
from shadow_comparison
where statistic in ('agreement_share', 'auc_difference') and value is not null;
