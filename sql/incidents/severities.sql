-- Alerts of every day, with broken features warning only if all that are critical at once have less than 5 % of the model's importance,
-- which counts by the tier of the model.
-- grain: dt, rule, model_id, model_version, deployment, segment, feature, window_days, reference
-- inputs: raised_alerts (rows of sql/alerts/alerts.sql), importances (model_id, model_version, feature, share), critical_features (model_id, feature),
--         tiers (model_id, weight), importance_profile
-- nulls: for a version without known importance, every feature is important
with explained as (
    select
        model_id,
        model_version,
        feature,
        sum(absolute_sum) as weight
    from importance_profile
    where segment = 'all'
    group by model_id, model_version, feature, dt
    -- importance from the first day is the same on every later day
    qualify dt = min(dt) over (partition by model_id, model_version)
),

known as (
    select *
    from importances
    union all
    select
        e.model_id,
        e.model_version,
        e.feature,
        sum(e.weight) / nullif(sum(sum(e.weight)) over (partition by e.model_id, e.model_version), 0) as share
    from explained as e
    anti join importances as i on e.model_id = i.model_id and e.model_version = i.model_version
    group by e.model_id, e.model_version, e.feature
),

weighed as (
    select
        a.*,
        case
            when a.signal <> 'feature_breaks.share' or c.feature is not null then 1
            when (a.model_id, a.model_version) in (select (v.model_id, v.model_version) from known as v)
                then coalesce(k.share, 0) * coalesce(t.weight, 1)
            else 1
        end as importance
    from raised_alerts as a
    left join known as k
        on a.model_id = k.model_id and a.model_version = k.model_version and a.feature = k.feature
    left join critical_features as c on a.model_id = c.model_id and a.feature = c.feature
    left join tiers as t on a.model_id = t.model_id
)

select
    * exclude (importance) replace (
        if(
            signal = 'feature_breaks.share'
            and coalesce(sum(if(severity = 'critical', importance, 0)) over (
                partition by dt, signal, model_id, deployment
            ), 0) < 0.05,
            'warn',
            severity
        ) as severity
    )
from weighed;
