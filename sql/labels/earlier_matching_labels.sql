-- Fills earlier_matching_labels: valid labels that arrived before the span and matter for it, because their id has a label
-- in the span (a repetition) or a prediction in the span (which then follows its label).
-- grain: a row of a label partition before the span
-- inputs: labels, earlier_labels (of the lookback before the span), recent_labels (the last days of these, of which
--         a label can be early), new_predictions (of the first days of the span, for which a label can be early)
-- parameters: $first_day
create or replace table earlier_matching_labels as
with early as (
    select l.correlation_id
    from recent_labels as l
    semi join new_predictions as p on l.correlation_id = p.correlation_id
    where
        is_valid_label(l.correlation_id, l.label, l.label_class)
        and coalesce(l.prediction_on >= $first_day, true)
),

relevant_ids as (
    select correlation_id from early
    union all
    select correlation_id from labels
    where is_valid_label(correlation_id, label, label_class)
)

select
    l.dt,
    l.correlation_id,
    l.label,
    l.label_class,
    l.label_time,
    l.prediction_on,
    l.file_id,
    l.file_row_number
from earlier_labels as l
semi join relevant_ids as u on l.correlation_id = u.correlation_id
where is_valid_label(l.correlation_id, l.label, l.label_class);
