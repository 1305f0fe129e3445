-- Fills label_rows: every label with whether it is usable and whether it repeats an earlier one.
-- grain: a row of a label partition
-- inputs: labels
-- parameters: $memory_days, how far back an earlier label of the same prediction is looked for
-- nulls: a label without correlation id or value is invalid
create or replace table label_rows as
with checked as (
    select
        dt,
        correlation_id,
        label,
        file_id,
        file_row_number,
        coalesce(correlation_id is not null and label in (0, 1), false) as is_valid,
        -- what orders the labels of one prediction: the earliest counts
        row(dt, coalesce(label_time, 'infinity'::timestamp), file_id, file_row_number) as arrival
    from labels
),

compared as (
    select
        *,
        min(arrival) over remembered as first_arrival,
        arg_min(label, arrival) over remembered as first_label
    from checked
    window remembered as (
        partition by correlation_id, is_valid
        order by dt - date '1970-01-01'
        range between $memory_days preceding and current row
    )
)

select
    dt,
    correlation_id,
    label,
    file_id,
    file_row_number,
    is_valid,
    is_valid and first_arrival < arrival as is_duplicate,
    is_valid and first_arrival < arrival and label <> first_label as is_conflict
from compared;
