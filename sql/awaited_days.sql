-- Prediction days that some label asks for: nothing else is read of the predictions.
-- grain: prediction_on
-- inputs: label_rows
-- parameters: $first_day; $horizon_days, how long after its prediction a label may come; $early_days, how long before;
--             $is_latest, whether the newest label counts rather than the first
-- nulls: a label that does not say its prediction day asks for all that it can have
with asking as (
    select distinct
        dt as label_on,
        prediction_on
    from label_rows
    -- a repetition that says what was said before changes nothing
    where is_valid and (not is_duplicate or is_conflict or $is_latest)
),

asked as (
    select
        label_on,
        prediction_on is not null as is_named,
        unnest(
            case
                when prediction_on is not null then [prediction_on]
                else range(label_on - $horizon_days, label_on + $early_days + 1, interval 1 day)::date[]
            end
        ) as prediction_on
    from asking
)

select distinct prediction_on
from asked
where
    label_on - prediction_on <= $horizon_days
    and prediction_on - label_on <= $early_days
    -- whether a label before the span has met a prediction by then decides if it is about one of the span
    and if(is_named, greatest(label_on, prediction_on), label_on + $early_days) >= $first_day
order by prediction_on;
