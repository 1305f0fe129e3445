-- Adds rows to label_pairs for several labels of one prediction: with weight 0 the labels that contradict the one
-- that counted before. If the latest label counts, also, on the day of its arrival, the new label with weight 1 and
-- the replaced label with weight -1.
-- grain: a label and a prediction, and weight
-- inputs: label_pairs
-- parameters: $is_latest, whether the newest label counts rather than the first
insert into label_pairs by name
with repeated as (
    select
        *,
        {'label': label, 'label_class': label_class} as label_value
    from label_pairs
    where is_repeated
),

in_order as (
    select
        *,
        case
            when $is_latest then lag(label_value) over arriving
            -- the first label of the id may be about another day; then none has counted for this prediction
            when row_number() over arriving > 1 and not first_value(is_duplicate) over arriving
                then first_value(label_value) over arriving
        end as value_before,
        row_number() over (
            partition by prediction_on, version_id, correlation_id, known_on
            order by arrival desc
        ) = 1 as is_last_of_day
    from repeated
    window arriving as (partition by prediction_on, version_id, correlation_id order by arrival)
),

corrected as (
    select
        *,
        lag(label_id) over knowing as previous_id,
        lag(label_value) over knowing as previous_value
    from in_order
    where $is_latest and is_last_of_day
    window knowing as (partition by prediction_on, version_id, correlation_id order by known_on)
)

select
    * exclude (label_value, value_before, is_last_of_day)
    replace (
        0 as weight,
        struct_extract(value_before, 'label') as label_before,
        struct_extract(value_before, 'label_class') as label_class_before
    )
from in_order
where value_before is not null and value_before is distinct from label_value
union all by name
select * exclude (label_value, value_before, is_last_of_day, previous_id, previous_value) replace (1 as weight)
from corrected
where previous_value is distinct from label_value
union all by name
select
    * exclude (label_value, value_before, is_last_of_day, previous_id, previous_value)
    replace (
        -1 as weight,
        previous_id as label_id,
        struct_extract(previous_value, 'label') as label,
        struct_extract(previous_value, 'label_class') as label_class
    )
from corrected
where previous_value is not null and previous_value is distinct from label_value;
