-- Every alert from its first day to its last, one row.
-- grain: rule, model_id, model_version, deployment, segment, feature, window_days, reference, opened_on
-- inputs: raised_alerts (rows of sql/alerts/alerts.sql), feature_stats
-- nulls: predicted_from of alerts without a version; paged_on of alerts that never page; kind of alerts that earlier releases stored
with predicted as (
    select
        model_id,
        model_version,
        deployment,
        min(dt) as predicted_from
    from feature_stats
    group by model_id, model_version, deployment
)

select
    a.rule,
    a.signal,
    a.model_id,
    a.model_version,
    a.deployment,
    a.segment,
    a.feature,
    a.window_days,
    a.reference,
    a.opened_on,
    any_value(a.kind) as kind,
    any_value(a.pages) as pages,
    min(a.since_on) as since_on,
    min(a.dt) filter (where a.severity = 'critical' and a.pages and a.state <> 'resolved') as paged_on,
    min(a.dt) filter (where a.state = 'resolved') as resolved_on,
    any_value(p.predicted_from) as predicted_from
from raised_alerts as a
left join predicted as p
    on a.model_id = p.model_id and a.model_version = p.model_version and a.deployment = p.deployment
group by
    a.rule,
    a.signal,
    a.model_id,
    a.model_version,
    a.deployment,
    a.segment,
    a.feature,
    a.window_days,
    a.reference,
    a.opened_on
order by
    -- alerts about whole partitions come first, because they may be the cause
    a.opened_on,
    a.model_id is not null,
    min(a.since_on),
    a.window_days,
    a.rule,
    a.model_id,
    a.model_version,
    a.deployment,
    a.segment,
    a.feature,
    a.reference;
