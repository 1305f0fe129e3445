-- Labels of multiclass models counted for each class by the score of that class (one against the rest). Empty without telemetry.class_scores.
-- grain: dt, prediction_on, model_id, model_version, deployment, segment, scored_class, bin_id
create table if not exists class_score_cohorts (
    dt date not null, -- day the label became known: the later of its arrival and its prediction
    prediction_on date not null, -- day of the prediction
    model_id varchar not null, -- model the row is about
    model_version varchar not null, -- version of the model
    deployment varchar not null, -- production, shadow or canary
    segment varchar not null, -- 'all', or column=value of a segment
    scored_class varchar not null, -- class whose score it is, one of the lineage
    bin_id integer not null, -- bin of the score: 1 below and 2 above the grid of probabilities, 3 and up its cells
    positive_count bigint not null, -- labels that are the class
    negative_count bigint not null, -- labels that are another class
    right_count bigint, -- labels that are the class, among predictions of the class; null if counted before the column existed
    wrong_count bigint -- labels that are another class, among predictions of the class
);
