-- Signal of all features together: how far their reconstruction error is from that of training.
-- grain: dt, signal, model_id, model_version, deployment, segment, feature, window_days, reference
-- inputs: multivariate_drift
select
    dt,
    'multivariate_drift.error_shift' as signal,
    model_id,
    model_version,
    deployment,
    'all' as segment,
    null::varchar as feature,
    window_days,
    'training' as reference,
    -- a smaller error than in training is a change, too
    abs(error_shift) as value,
    current_count as sample_count,
    noise_floor,
    null::varchar as detail
from multivariate_drift
where error_shift is not null;
