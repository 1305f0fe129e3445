-- AUC of every model version and deployment while it predicted, as known on the day.
-- grain: dt, model_id, model_version, deployment, window_days
-- inputs: model_quality, prediction_profile
-- parameters: $first_day, $last_day, $windows_days
-- nulls: auc is null where labels were too few
with predicted as (
    select distinct
        dt,
        model_id,
        model_version,
        deployment
    from prediction_profile
    where dt between $first_day and $last_day and segment = 'all'
),

last_predicted as (
    select
        model_id,
        model_version,
        deployment,
        max(dt) as last_predicted_on
    from predicted
    group by model_id, model_version, deployment
)

select
    h.dt,
    h.model_id,
    h.model_version,
    h.deployment,
    h.window_days,
    h.value as auc,
    h.confidence_low,
    h.confidence_high,
    h.interval_unit,
    h.baseline_value as baseline_auc,
    h.coverage_share,
    p.dt is not null as has_predictions,
    -- rows from before the minimum was stored have the default of quality.minimum_labels_per_class
    coalesce(h.minimum_class_count, 10) as minimum_class_count
from model_quality as h
inner join last_predicted as l
    on h.model_id = l.model_id
    and h.model_version = l.model_version
    and h.deployment = l.deployment
    -- after the last prediction a window only shrinks, so it is left out
    and h.dt <= l.last_predicted_on
left join predicted as p
    on h.dt = p.dt
    and h.model_id = p.model_id
    and h.model_version = p.model_version
    and h.deployment = p.deployment
where
    h.dt between $first_day and $last_day
    and h.statistic = 'auc'
    and h.segment = 'all'
    and list_contains($windows_days, h.window_days)
order by h.model_id, h.model_version, h.deployment, h.window_days, h.dt;
