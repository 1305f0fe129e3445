-- Predictions of multiclass models per scored class and bin of every day that the days from $first_day on look back to.
-- grain: dt, model_id, model_version, deployment, scored_class, bin_id
-- inputs: class_score_profile
-- parameters: $first_day, $last_day, $look_back_days
select
    dt,
    model_id,
    model_version,
    deployment,
    scored_class,
    bin_id,
    row_count,
    predicted_count
from class_score_profile
where dt > $first_day::date - $look_back_days::integer and dt <= $last_day
order by model_id, model_version, deployment, scored_class, dt, bin_id;
