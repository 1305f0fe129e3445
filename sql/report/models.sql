-- The facts of the verdict on every model version and deployment that predicted recently.
-- grain: model_id, model_version, deployment
-- inputs: prediction_volume, feature_drift, model_quality, label_backlog, model_verdicts
-- parameters: $day, $recent_days, $drift_window_days, $quality_window_days
-- nulls: a fact is null where its table has no row for the day, or no value in it
with predicted as (
    select
        model_id,
        model_version,
        deployment,
        max(dt) as last_predicted_on,
        coalesce(sum(prediction_count) filter (where dt = $day), 0)::bigint as prediction_count
    from prediction_volume
    where dt > $day::date - $recent_days::integer and dt <= $day
    group by model_id, model_version, deployment
),

drifted as (
    select
        model_id,
        model_version,
        deployment,
        count(*) filter (where outcome = 'drift') as drift_count,
        count(*) filter (where outcome = 'warn') as warn_count,
        count(*) filter (where outcome = 'insufficient_data') as unjudged_count,
        count(*) as feature_count,
        arg_max(feature, value) filter (where outcome <> 'insufficient_data') as worst_feature,
        max(value) filter (where outcome <> 'insufficient_data') as worst_psi,
        max(reason) filter (where outcome = 'insufficient_data') as unjudged_reason
    from feature_drift
    where
        dt = $day
        and statistic = 'psi'
        and window_days = $drift_window_days
        and segment = 'all'
        and reference = 'training'
    group by model_id, model_version, deployment
)

select
    p.model_id,
    p.model_version,
    p.deployment,
    p.last_predicted_on,
    p.prediction_count,
    d.drift_count,
    d.warn_count,
    d.unjudged_count,
    d.feature_count,
    d.worst_feature,
    d.worst_psi,
    d.unjudged_reason,
    q.statistic as quality_statistic,
    q.value as quality,
    q.drop_from_baseline as quality_drop,
    q.reason as quality_reason,
    b.overdue_share,
    b.outstanding_count,
    v.verdict,
    verdict_place(v.verdict) as verdict_place,
    v.since_on,
    v.sentence as verdict_sentence,
    v.value is not null as is_performance_mentioned
from predicted as p
left join drifted as d
    on p.model_id = d.model_id and p.model_version = d.model_version and p.deployment = d.deployment
left join model_quality as q
    on p.model_id = q.model_id
    and p.model_version = q.model_version
    and p.deployment = q.deployment
    and q.dt = $day
    and q.segment = 'all'
    -- a version has one or the other
    and q.statistic in ('auc', 'mean_absolute_error')
    and q.window_days = $quality_window_days
left join label_backlog as b
    on p.model_id = b.model_id
    and p.model_version = b.model_version
    and p.deployment = b.deployment
    and b.dt = $day
    and b.segment = 'all'
    and b.age_bucket = 'all'
left join model_verdicts as v
    on p.model_id = v.model_id
    and p.model_version = v.model_version
    and p.deployment = v.deployment
    and v.dt = $day
order by p.model_id, p.deployment <> 'production', p.deployment, p.model_version;
