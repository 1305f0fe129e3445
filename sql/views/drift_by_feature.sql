-- How far was every feature from its references, day by day and segment by segment? The common statistics side by side; the outcome is that of PSI.
create or replace view drift_by_feature as
select
    dt,
    model_id,
    model_version,
    deployment,
    segment,
    feature,
    window_days,
    reference,
    max(value) filter (where statistic = 'psi') as psi,
    max(noise_floor) filter (where statistic = 'psi') as psi_noise_floor,
    max(q_value) filter (where statistic = 'psi') as psi_q_value,
    max(warn_threshold) filter (where statistic = 'psi') as psi_warn_threshold,
    max(drift_threshold) filter (where statistic = 'psi') as psi_drift_threshold,
    max(value) filter (where statistic = 'kl_divergence') as kl_divergence,
    max(value) filter (where statistic = 'js_distance') as js_distance,
    max(value) filter (where statistic = 'missing_rate_change') as missing_rate_change,
    max(current_count) as current_count,
    max(reference_count) as reference_count,
    max(outcome) filter (where statistic = 'psi') as outcome,
    max(reason) filter (where statistic = 'psi') as reason
from feature_drift
group by dt, model_id, model_version, deployment, segment, feature, window_days, reference;
