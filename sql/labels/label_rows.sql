-- Fills label_rows: every label of the span and every earlier label that matches, with whether it is usable, repeats an earlier
-- one (is_duplicate), contradicts the earliest (is_conflict), or is one of several of its id (is_repeated).
-- grain: a row of a label partition
-- inputs: labels, earlier_matching_labels
-- parameters: $lookback_days, days within which earlier labels of the same prediction are searched
-- nulls: a label without correlation id or value is invalid
create or replace table label_rows as
with checked as not materialized (
    select
        dt,
        correlation_id,
        label,
        label_class,
        label_time,
        prediction_on,
        file_id,
        file_row_number,
        is_valid_label(correlation_id, label, label_class) as is_valid
    from labels
    union all
    select
        dt,
        correlation_id,
        label,
        label_class,
        label_time,
        prediction_on,
        file_id,
        file_row_number,
        true as is_valid
    from earlier_matching_labels
),

-- Few ids occur twice, and only their labels are sorted. If two ids share a hash, they are only sorted needlessly.
repeated_ids as (
    select hash(correlation_id) as id_hash
    from checked
    where is_valid
    group by id_hash
    having count(*) > 1
),

arrived as (
    select
        c.*,
        coalesce(c.label::varchar, c.label_class) as label_value,
        -- sort key of the labels of one prediction: the earliest counts
        {
            'dt': c.dt,
            'label_time': coalesce(c.label_time, 'infinity'::timestamp),
            'file_id': c.file_id,
            'file_row_number': c.file_row_number
        } as arrival
    from checked as c
    semi join repeated_ids as r on hash(c.correlation_id) = r.id_hash
    where c.is_valid
),

compared as (
    select
        dt,
        file_id,
        file_row_number,
        label_value,
        arrival,
        -- labels that name different days are about different predictions; a label without a day may be about any of them
        bool_and(prediction_on is not null) over of_the_id as are_named,
        if(are_named, min(arrival) over of_the_day, min(arrival) over of_the_id) as first_arrival,
        if(are_named, arg_min(label_value, arrival) over of_the_day, arg_min(label_value, arrival) over of_the_id) as first_label_value
    from arrived
    window
        of_the_id as (
            partition by correlation_id
            order by dt - date '1970-01-01'
            range between $lookback_days preceding and current row
        ),
        of_the_day as (
            partition by correlation_id, prediction_on
            order by dt - date '1970-01-01'
            range between $lookback_days preceding and current row
        )
)

select
    c.dt,
    c.correlation_id,
    c.label,
    c.label_class,
    c.prediction_on,
    c.file_id,
    c.file_row_number,
    c.is_valid,
    r.arrival,
    r.file_id is not null as is_repeated,
    coalesce(r.first_arrival < r.arrival, false) as is_duplicate,
    coalesce(r.first_arrival < r.arrival and r.label_value <> r.first_label_value, false) as is_conflict
from checked as c
left join compared as r
    -- both relations number their files separately, but no day is in both
    on c.dt = r.dt and c.file_id = r.file_id and c.file_row_number = r.file_row_number;
