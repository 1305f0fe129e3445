-- Evidence: versions that predict for the first time, or for a far larger share of the predictions than in the week before.
-- grain: incident_id, subject, known_on
-- inputs: incident_alerts, prediction_volume
with alerted as (
    select
        incident_id,
        model_id,
        model_version,
        deployment,
        min(opened_on) as opened_on,
        min(first_on) as first_on,
        max(until_on) as until_on
    from incident_alerts
    group by incident_id, model_id, model_version, deployment
),

counts as (
    select
        dt,
        model_id,
        model_version,
        deployment,
        sum(prediction_count) as row_count
    from prediction_volume
    group by dt, model_id, model_version, deployment
),

shares as (
    select
        *,
        row_count / sum(row_count) over (partition by dt, model_id, deployment) as share,
        min(dt) over (partition by model_id) as monitored_from
    from counts
),

share_changes as (
    select
        a.incident_id,
        a.opened_on,
        a.first_on,
        s.*,
        max(if(s.dt < a.first_on, s.share, 0)) over (
            partition by a.incident_id, s.model_id, a.model_version, a.deployment, s.model_version, s.deployment
        ) as share_before,
        coalesce(a.model_version = s.model_version and a.deployment = s.deployment, false) as is_alerted
    from alerted as a
    inner join shares as s on a.model_id = s.model_id and s.dt between a.first_on - 7 and a.until_on
)

select
    incident_id,
    model_version || ' (' || deployment || ')' as subject,
    greatest(dt, opened_on) as known_on,
    -- alerts about another version may have another reason, and those about production seldom come from a shadow
    (share - share_before) * if(is_alerted, 1, 0.6) * if(deployment = 'production', 1, 0.9)::double as strength,
    model_version,
    deployment,
    share,
    share_before
from share_changes
where dt >= first_on and share - share_before >= 0.2 and monitored_from < first_on;
