-- Prediction days that labels need; predictions of other days are not read.
-- grain: prediction_on
-- inputs: label_rows
-- parameters: $first_day; $horizon_days, how long after its prediction a label may come; $early_days, how long before;
--             $is_latest, whether the newest label counts rather than the first
-- nulls: a label without a prediction day needs every day on which its prediction can be
with counted_labels as (
    select distinct
        dt as label_on,
        prediction_on
    from label_rows
    -- a repetition with the same value changes nothing
    where is_valid and (not is_duplicate or is_conflict or $is_latest)
),

possible_days as (
    select
        label_on,
        prediction_on is not null as is_named,
        unnest(
            case
                when prediction_on is not null then [prediction_on]
                else range(label_on - $horizon_days, label_on + $early_days + 1, interval 1 day)::date[]
            end
        ) as prediction_on
    from counted_labels
)

select distinct prediction_on
from possible_days
where
    label_on - prediction_on <= $horizon_days
    and prediction_on - label_on <= $early_days
    -- which predictions the labels of the span are about depends on earlier labels that have already matched one
    and if(is_named, greatest(label_on, prediction_on), label_on + $early_days + $horizon_days) >= $first_day
order by prediction_on;
