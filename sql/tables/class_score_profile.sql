-- Predictions of multiclass models counted for each class by the score of that class, before labels. Empty without telemetry.class_scores.
-- grain: dt, model_id, model_version, deployment, scored_class, bin_id
create table if not exists class_score_profile (
    dt date not null, -- day of the predictions (the telemetry partition)
    model_id varchar not null, -- model the row is about
    model_version varchar not null, -- version of the model
    deployment varchar not null, -- production, shadow or canary
    scored_class varchar not null, -- class whose score it is, one of the lineage
    bin_id integer not null, -- bin of the score, as in class_score_cohorts
    row_count bigint not null, -- predictions whose score of the class is in the bin
    predicted_count bigint not null -- those whose predicted class is the scored class
);
