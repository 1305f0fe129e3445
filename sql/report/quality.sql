-- AUC of every model version and deployment while it predicted: as known on the day and with every label known now.
-- grain: dt, model_id, model_version, deployment, window_days
-- inputs: quality_history, prediction_profile
-- parameters: $first_day, $last_day, $windows_days
-- nulls: auc is null where labels were too few; hindsight_auc where none has arrived at all
with predicted as (
    select
        model_id,
        model_version,
        deployment,
        max(dt) as last_predicted_on
    from prediction_profile
    where dt between $first_day and $last_day and segment = 'all'
    group by model_id, model_version, deployment
)

select
    h.dt,
    h.model_id,
    h.model_version,
    h.deployment,
    h.window_days,
    h.auc,
    h.confidence_low,
    h.confidence_high,
    h.interval_unit,
    h.baseline_auc,
    h.hindsight_auc,
    h.coverage_share
from quality_history as h
inner join predicted as p
    on h.model_id = p.model_id
    and h.model_version = p.model_version
    and h.deployment = p.deployment
    -- a window that only shrinks after the last prediction says nothing new
    and h.dt <= p.last_predicted_on
where h.dt between $first_day and $last_day and h.segment = 'all' and list_contains($windows_days, h.window_days)
order by h.model_id, h.model_version, h.deployment, h.window_days, h.dt;
