-- The scores of every model version and deployment in a window, compared with those of its training data.
-- grain: model_id, model_version, deployment
-- inputs: prediction_drift, prediction_profile, reference_stats
-- parameters: $day, $window_days
-- nulls: reference_mean is null for versions without a training score, current_mean without scores
with produced as (
    select
        model_id,
        model_version,
        deployment,
        -- bin 0 holds the predictions without a score
        -- without the last digits, which depend on the order of the sum
        round(sum(score_sum) / nullif(sum(row_count) filter (where bin_id > 0), 0), 9) as current_mean
    from prediction_profile
    where dt > $day::date - $window_days::integer and dt <= $day and segment = 'all'
    group by model_id, model_version, deployment
)

select
    d.model_id,
    d.model_version,
    d.deployment,
    'score' as feature,
    d.value as psi,
    d.noise_floor,
    d.q_value,
    d.outcome,
    d.reason,
    d.current_count,
    d.reference_count,
    p.current_mean,
    r.mean as reference_mean
from prediction_drift as d
inner join produced as p
    on d.model_id = p.model_id and d.model_version = p.model_version and d.deployment = p.deployment
left join reference_stats as r
    on d.model_id = r.model_id and d.model_version = r.model_version and r.feature = 'score'
where
    d.dt = $day
    and d.window_days = $window_days
    and d.statistic = 'psi'
    and d.segment = 'all'
    and d.reference = 'training'
order by d.model_id, d.deployment <> 'production', d.deployment, d.model_version;
