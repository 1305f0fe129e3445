-- Alerts of a day, the most pressing first: critical before warn, then by how far the value is beyond its threshold.
-- grain: rule, model_id, model_version, deployment, segment, feature, window_days, reference
-- inputs: alerts
-- parameters: $day
select
    rule,
    signal,
    severity,
    model_id,
    model_version,
    deployment,
    segment,
    feature,
    value,
    threshold,
    sample_count,
    since_on,
    consecutive_days,
    owner,
    runbook,
    message
from alerts
where dt = $day
order by
    severity <> 'critical',
    value / nullif(threshold, 0) desc nulls last,
    rule,
    model_id,
    model_version,
    deployment,
    segment,
    feature,
    window_days;
