-- Open alerts of a day, the most urgent first: critical before warn, then by how far the value is beyond its threshold.
-- grain: rule, model_id, model_version, deployment, segment, feature, window_days, reference
-- inputs: alerts
-- parameters: $day; $smallest_cell, rows that a segment needs to be named
with named as (
    select
        *,
        -- a segment with fewer rows may identify persons
        if(segment <> 'all' and sample_count < $smallest_cell, split_part(segment, '=', 1) || '=other', segment)
            as shown_segment
    from alerts
    where dt = $day and state is distinct from 'resolved'
)

select
    rule,
    incident_id,
    weight,
    signal,
    severity,
    model_id,
    model_version,
    deployment,
    shown_segment as segment,
    feature,
    window_days,
    reference,
    value,
    threshold,
    sample_count,
    since_on,
    consecutive_days,
    owner,
    runbook,
    if(shown_segment <> segment, replace(message, segment, shown_segment), message) as message
from named
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
