-- Evidence for alerts on drift from training: it was there when a version was first measured, so nothing has changed since.
-- grain: incident_id, subject, known_on
-- inputs: suspects, feature_drift
with drifted as (
    select distinct
        incident_id,
        model_id,
        model_version,
        deployment,
        feature,
        split_part(signal, '.', 2) as statistic,
        window_days,
        suspected_on
    from suspects
    where signal like 'feature_drift.%' and suspected_on <= until_on
),

measured as (
    select
        d.incident_id,
        d.model_version,
        d.feature,
        d.suspected_on,
        min(f.dt) as measured_from,
        arg_min(f.outcome, f.dt) as first_outcome
    from drifted as d
    inner join feature_drift as f
        on d.model_id = f.model_id
        and d.model_version = f.model_version
        and d.deployment = f.deployment
        and d.feature = f.feature
        and d.statistic = f.statistic
        and d.window_days = f.window_days
        and f.dt <= d.suspected_on
    where f.segment = 'all' and f.reference = 'training' and f.outcome <> 'insufficient_data'
    group by d.incident_id, d.model_version, d.feature, d.suspected_on, d.window_days
)

select
    incident_id,
    feature || ' ' || model_version as subject,
    suspected_on as known_on,
    1.0::double as strength,
    feature,
    model_version,
    measured_from
from measured
where first_outcome in ('warn', 'drift') and suspected_on - measured_from <= 7;
