-- The prediction days that valid labels name, by the day of their arrival.
-- grain: dt, prediction_on
-- inputs: labels
-- nulls: a label without a prediction day also has a row
select distinct
    dt,
    prediction_on
from labels
where is_valid_label(correlation_id, label, label_class);
