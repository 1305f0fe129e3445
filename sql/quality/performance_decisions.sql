-- Labels of multiclass models by class and prediction day: correct predictions of the class, all its predictions that have a label, and its labels. Predictions
-- without a class are left out. The prediction days are $first_day to $last_day, and $look_back_days before them.
-- grain: dt, prediction_on, model_id, model_version, deployment, decided_class
-- inputs: class_cohorts
-- parameters: $first_day, $last_day, $look_back_days
with decided as (
    select *
    from class_cohorts
    where
        segment = 'all'
        and predicted_class <> '(missing)'
        and dt <= $last_day
        and prediction_on > $first_day::date - $look_back_days::integer
        and prediction_on <= $last_day
),

-- every row counts once for the class of its label and once for the predicted class
sides as (
    select
        * exclude (predicted_class, label_class),
        label_class as decided_class,
        if(predicted_class = label_class, row_count, 0) as hit_count,
        0 as predicted_count,
        row_count as labelled_count
    from decided
    union all by name
    select
        * exclude (predicted_class, label_class),
        predicted_class as decided_class,
        0 as hit_count,
        row_count as predicted_count,
        0 as labelled_count
    from decided
)

select
    dt,
    prediction_on,
    model_id,
    model_version,
    deployment,
    decided_class,
    sum(hit_count)::bigint as hit_count,
    sum(predicted_count)::bigint as predicted_count,
    sum(labelled_count)::bigint as labelled_count
from sides
group by dt, prediction_on, model_id, model_version, deployment, decided_class
order by model_id, model_version, deployment, dt, prediction_on, decided_class;
