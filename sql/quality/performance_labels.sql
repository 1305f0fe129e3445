-- Labels per score bin of every prediction day that the days from $first_day on look back to.
-- grain: dt, prediction_on, model_id, model_version, deployment, bin_id
-- inputs: label_cohorts
-- parameters: $first_day, $last_day, $look_back_days
select
    dt,
    prediction_on,
    model_id,
    model_version,
    deployment,
    bin_id,
    positive_count,
    negative_count,
    number_count,
    log_loss_sum,
    squared_error_sum,
    true_positive_count,
    false_positive_count,
    absolute_error_sum
from label_cohorts
where
    segment = 'all'
    and dt <= $last_day
    and prediction_on > $first_day::date - $look_back_days::integer
    and prediction_on <= $last_day
order by model_id, model_version, deployment, dt, prediction_on, bin_id;
