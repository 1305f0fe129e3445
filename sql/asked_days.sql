-- The prediction days that valid labels name, by the day of their arrival.
-- grain: dt, prediction_on
-- inputs: labels
-- nulls: a label that does not say its prediction day has a row, too
select distinct
    dt,
    prediction_on
from labels
where is_valid_label(correlation_id, label, label_class);
