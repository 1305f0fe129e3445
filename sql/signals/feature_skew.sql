-- Signal of training-serving skew: share of the predictions whose served value of a feature differs from the offline value.
-- grain: dt, signal, model_id, model_version, deployment, segment, feature, window_days, reference
-- inputs: feature_skew
select
    dt,
    'feature_skew.different_share' as signal,
    model_id,
    model_version,
    deployment,
    segment,
    feature,
    1 as window_days,
    null::varchar as reference,
    different_share as value,
    compared_count as sample_count,
    null::double as noise_floor,
    null::varchar as detail
from feature_skew;
