-- Labels of multiclass models per scored class and bin of every prediction day that the days from $first_day on look back to.
-- grain: dt, prediction_on, model_id, model_version, deployment, scored_class, bin_id
-- inputs: class_score_cohorts
-- parameters: $first_day, $last_day, $look_back_days
select
    dt,
    prediction_on,
    model_id,
    model_version,
    deployment,
    scored_class,
    bin_id,
    positive_count,
    negative_count
from class_score_cohorts
where
    segment = 'all'
    and dt <= $last_day
    and prediction_on > $first_day::date - $look_back_days::integer
    and prediction_on <= $last_day
order by model_id, model_version, deployment, scored_class, dt, prediction_on, bin_id;
