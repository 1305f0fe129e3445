-- Features, and the score under its name, whose PSI over all segments is above threshold and noise, and is to be explained by segments.
-- grain: dt, model_id, model_version, deployment, feature, window_days, reference
-- inputs: new_drift, new_prediction_drift (rows of feature_drift and prediction_drift)
with compared as (
    select
        dt,
        model_id,
        model_version,
        deployment,
        segment,
        feature,
        window_days,
        reference,
        statistic,
        outcome
    from new_drift
    union all
    select
        dt,
        model_id,
        model_version,
        deployment,
        segment,
        'score' as feature,
        window_days,
        reference,
        statistic,
        outcome
    from new_prediction_drift
)

select
    dt,
    model_id,
    model_version,
    deployment,
    feature,
    window_days,
    reference
from compared
where segment = 'all' and statistic = 'psi' and outcome in ('warn', 'drift');
