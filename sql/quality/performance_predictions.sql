-- Predictions per score bin of every day that the days from $first_day on look back to.
-- grain: dt, model_id, model_version, deployment, bin_id
-- inputs: prediction_profile
-- parameters: $first_day, $last_day, $look_back_days
select
    dt,
    model_id,
    model_version,
    deployment,
    bin_id,
    row_count,
    score_sum,
    at_cut_count
from prediction_profile
where segment = 'all' and dt > $first_day::date - $look_back_days::integer and dt <= $last_day
order by model_id, model_version, deployment, dt, bin_id;
