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
        lag(dt) over earlier as previous_dt,
        lag(label) over earlier as previous_label
    from labels
    window earlier as (
        partition by correlation_id, coalesce(correlation_id is not null and label in (0, 1), false)
        order by dt, label_time nulls last, file_id, file_row_number
    )
)

select
    dt,
    correlation_id,
    label,
    file_id,
    file_row_number,
    is_valid,
    coalesce(is_valid and dt - previous_dt <= $memory_days, false) as is_duplicate,
    coalesce(is_valid and dt - previous_dt <= $memory_days and label <> previous_label, false) as is_conflict
from checked;
