-- How far is every feature from training on the newest day? The common statistics side by side.
create or replace view latest_drift as
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
    max(value) filter (where statistic = 'kl_divergence') as kl_divergence,
    max(value) filter (where statistic = 'js_distance') as js_distance,
    max(value) filter (where statistic = 'missing_rate_change') as missing_rate_change,
    any_value(current_count) as current_count,
    any_value(reference_count) as reference_count,
    max(outcome) filter (where statistic = 'psi') as outcome,
    max(reason) as reason
from feature_drift
where dt = (select max(dt) from feature_drift)
group by dt, model_id, model_version, deployment, segment, feature, window_days, reference
order by psi desc nulls last;
