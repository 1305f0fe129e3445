-- Labels of multiclass models counted by predicted class and class: the confusion counts. The sum over dt <= T is what was known at the end of T.
-- grain: dt, prediction_on, model_id, model_version, deployment, segment, predicted_class, label_class
create table if not exists class_cohorts (
    dt date not null, -- day the label became known: the later of its arrival and its prediction
    prediction_on date not null, -- day of the prediction
    model_id varchar not null, -- model the row is about
    model_version varchar not null, -- version of the model
    deployment varchar not null, -- production, shadow or canary
    segment varchar not null, -- 'all', or column=value of a segment
    predicted_class varchar not null, -- class of the prediction as text; '(missing)' for predictions without one
    label_class varchar not null, -- class of the label, one of the lineage
    row_count bigint not null -- labels
);
