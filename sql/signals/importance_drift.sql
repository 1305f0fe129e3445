-- Signal of importance: how much the ranking of the features differs from that of the reference.
-- grain: dt, signal, model_id, model_version, deployment, segment, feature, window_days, reference
-- inputs: importance_drift
select
    dt,
    'importance_drift.ndcg_loss' as signal,
    model_id,
    model_version,
    deployment,
    segment,
    null::varchar as feature,
    window_days,
    reference,
    1 - value as value,
    current_count as sample_count,
    null::double as noise_floor,
    null::varchar as detail
from importance_drift
where statistic = 'ndcg' and value is not null;
