-- Labels that contradict an earlier label of the same prediction, counted by both values. Repetitions with the same value are not included.
-- grain: dt, prediction_on, model_id, model_version, deployment, label_before, label_after
create table if not exists label_conflicts (
    dt date not null, -- day the contradiction became known: the later of the arrival of the label and its prediction
    prediction_on date not null, -- day of the prediction
    model_id varchar not null, -- model the row is about
    model_version varchar not null, -- version of the model
    deployment varchar not null, -- production, shadow or canary
    label_before varchar, -- label that counted until then: the first (labels.corrections: first) or the one before (latest); null for a regression
    label_after varchar, -- label that arrived; null for a regression
    conflict_count bigint not null -- contradicting labels; a label of a case that two versions predicted counts for each of them
);
