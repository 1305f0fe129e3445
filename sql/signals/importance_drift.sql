-- Signal of importance: how unlike that of its reference the ranking of the features is.
-- grain: dt, signal, model_id, model_version, deployment, segment, feature, window_days, reference
-- inputs: importance_drift
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
where statistic = 'ndcg' and value is not null;
