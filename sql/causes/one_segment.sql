-- Evidence: segments with less than half of the rows that explain most of a feature's shift.
-- grain: incident_id, subject, known_on
-- inputs: incident_alerts, segment_shift
-- parameters: $smallest_cell
with shifts as (
    select
        *,
        current_count / sum(current_count) over (
            partition by
                dt, model_id, model_version, deployment, segment_column, feature, window_days, reference
        ) as row_share
    from segment_shift
    where
        dt between (select min(s.first_on) from incident_alerts as s)
        and (select max(s.until_on) from incident_alerts as s)
)

select
    s.incident_id,
    h.segment || ' ' || h.feature as subject,
    greatest(h.dt, s.opened_on) as known_on,
    least(1, h.shift_share) as strength,
    h.segment,
    h.feature,
    h.shift_share,
    h.row_share
from incident_alerts as s
inner join shifts as h
    on s.model_id = h.model_id
    and s.model_version = h.model_version
    and s.deployment = h.deployment
    and (s.feature = h.feature or (s.signal like 'prediction_drift%' and h.feature = 'score'))
    and h.dt between s.first_on and s.until_on
where
    h.shift_share >= 0.7
    and h.row_share < 0.5
    -- a segment with fewer rows may identify persons
    and h.current_count >= $smallest_cell;
