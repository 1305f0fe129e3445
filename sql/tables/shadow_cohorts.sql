-- Labels of predictions that both a candidate and production have scored, by the day they became known and the bins of both scores.
-- grain: dt, prediction_on, model_id, model_version, deployment, production_version, bin_id, production_bin_id
create table if not exists shadow_cohorts (
    dt date not null, -- day on which the label became known: the later of arrival and prediction
    prediction_on date not null, -- day of the prediction
    model_id varchar not null, -- model the row is about
    model_version varchar not null, -- version of the candidate
    deployment varchar not null, -- deployment of the candidate: shadow or canary
    production_version varchar not null, -- version that answered the same predictions in production
    bin_id integer not null, -- bin of the candidate's score, as in shadow_profile
    production_bin_id integer not null, -- bin of production's score, likewise
    positive_count bigint not null, -- labels that are 1
    negative_count bigint not null -- labels that are 0
);
