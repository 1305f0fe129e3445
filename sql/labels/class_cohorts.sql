-- Rows of class_cohorts: labels that became known on each day, by prediction day, predicted class and class of the label.
-- grain: dt, prediction_on, model_id, model_version, deployment, segment, predicted_class, label_class
-- inputs: class_pairs
select
    known_on as dt,
    prediction_on,
    model_id,
    model_version,
    deployment,
    segment,
    predicted_class,
    label_class,
    sum(weight)::bigint as row_count
from class_pairs
group by known_on, prediction_on, model_id, model_version, deployment, segment, predicted_class, label_class
order by known_on, prediction_on, model_id, model_version, deployment, segment, predicted_class, label_class;
