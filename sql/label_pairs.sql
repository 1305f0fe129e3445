-- Fills label_pairs: first labels joined to their predictions.
-- grain: a label and a prediction (a correlation id scored by two versions makes two pairs)
-- inputs: label_rows, scored_predictions
-- parameters: $horizon_days, how long after its prediction a label may come; $early_days, how long before
create or replace table label_pairs as
select
    greatest(l.dt, p.dt) as known_on,
    l.dt as label_on,
    l.file_id as label_file_id,
    l.file_row_number as label_row_number,
    l.label,
    p.dt as prediction_on,
    p.model_id,
    p.model_version,
    p.deployment,
    p.score_kind,
    p.score,
    p.bin_id
from scored_predictions as p
inner join label_rows as l
    on p.correlation_id = l.correlation_id
where
    l.is_valid
    and not l.is_duplicate
    and l.dt - p.dt <= $horizon_days
    and p.dt - l.dt <= $early_days
-- a prediction delivered twice is labelled once
qualify row_number() over (
    partition by p.dt, p.model_id, p.model_version, l.file_id, l.file_row_number
    order by p.event_time, p.file_id, p.file_row_number
) = 1;
