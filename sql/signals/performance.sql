-- Signals of performance: the evidence, added up over nights, that a model is worse than its baseline by more than its tolerance.
-- grain: dt, signal, model_id, model_version, deployment, segment, feature, window_days, reference
-- inputs: performance
select
    dt,
    'performance.loss_evidence' as signal,
    model_id,
    model_version,
    deployment,
    'all' as segment,
    statistic as feature,
    window_days,
    null::varchar as reference,
    loss_evidence as value,
    label_count as sample_count,
    null::double as noise_floor,
    null::varchar as detail
from performance
where loss_evidence is not null;
