-- Labels of multiclass models by whether the predicted class was right, of every prediction day that the days from $first_day on look back to. Predictions without a class are left out.
-- grain: dt, prediction_on, model_id, model_version, deployment
-- inputs: class_cohorts
-- parameters: $first_day, $last_day, $look_back_days
select
    dt,
    prediction_on,
    model_id,
    model_version,
    deployment,
    coalesce(sum(row_count) filter (where predicted_class = label_class), 0)::bigint as right_count,
    sum(row_count)::bigint as decided_count
from class_cohorts
where
    segment = 'all'
    and predicted_class <> '(missing)'
    and dt <= $last_day
    and prediction_on > $first_day::date - $look_back_days::integer
    and prediction_on <= $last_day
group by dt, prediction_on, model_id, model_version, deployment
order by model_id, model_version, deployment, dt, prediction_on;
