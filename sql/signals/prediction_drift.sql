-- Signals of drift of scores: every statistic, where it could be judged and is above its noise.
-- grain: dt, signal, model_id, model_version, deployment, segment, feature, window_days, reference
-- inputs: prediction_drift
select
    dt,
    'prediction_drift.' || statistic as signal,
    model_id,
    model_version,
    deployment,
    segment,
    null::varchar as feature,
    window_days,
    reference,
    -- a falling rate is a change, too
    abs(value) as value,
    current_count as sample_count,
    noise_floor,
    null::varchar as detail
from prediction_drift
where
    outcome <> 'insufficient_data'
    -- a value above its threshold that is stable is noise and not a signal
    and (outcome <> 'stable' or abs(value) < warn_threshold);
