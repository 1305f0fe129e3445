-- Every alert from its first day to its last, one row.
-- grain: rule, model_id, model_version, deployment, segment, feature, window_days, reference, opened_on
-- inputs: raised_alerts (rows of sql/alerts.sql)
select
    rule,
    signal,
    model_id,
    model_version,
    deployment,
    segment,
    feature,
    window_days,
    reference,
    opened_on,
    min(since_on) as since_on,
    min(dt) filter (where state = 'resolved') as resolved_on
from raised_alerts
group by
    rule, signal, model_id, model_version, deployment, segment, feature, window_days, reference, opened_on
order by
    -- what is about whole partitions first: it may be why
    opened_on,
    model_id is not null,
    since_on,
    window_days,
    rule,
    model_id,
    model_version,
    deployment,
    segment,
    feature,
    reference;
