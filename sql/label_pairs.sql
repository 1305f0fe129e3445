-- Fills label_pairs: first labels joined to their predictions.
-- grain: a label and a prediction (a correlation id scored by two versions makes two pairs)
-- inputs: label_rows, predictions, versions
-- parameters: $first_day; $horizon_days, how long after its prediction a label may come; $early_days, how long before
-- nulls: a label without prediction_on may be about any day; a missing deployment is production
create or replace table label_pairs as
with met as (
    select
        greatest(l.dt, p.dt) as known_on,
        l.dt as label_on,
        l.rowid as label_id,
        l.label,
        l.label_class,
        p.dt as prediction_on,
        v.version_id,
        coalesce(p.deployment, 'production') as deployment,
        p.score,
        p.predicted_class,
        p.class_scores,
        p.segments,
        p.event_time,
        p.file_id,
        p.file_row_number
    from predictions as p
    inner join label_rows as l
        on p.correlation_id = l.correlation_id
    inner join versions as v
        on p.model_id = v.model_id and p.model_version = v.model_version
    where
        l.is_valid
        and case v.task
            when 'multiclass' then list_contains(v.classes, l.label_class)
            when 'regression' then isfinite(l.label)
            else l.label in (0, 1)
        end
        and not l.is_duplicate
        and coalesce(l.prediction_on = p.dt, true)
        and l.dt - p.dt <= $horizon_days
        and p.dt - l.dt <= $early_days
        and greatest(l.dt, p.dt) >= $first_day
)

select
    known_on,
    label_on,
    label_id,
    label,
    label_class,
    prediction_on,
    version_id,
    deployment,
    score,
    predicted_class,
    class_scores,
    segments
from met
-- a prediction delivered twice is labelled once
qualify row_number() over (
    partition by prediction_on, version_id, label_id
    order by event_time, file_id, file_row_number
) = 1;
