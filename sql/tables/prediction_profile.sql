-- Counts and score sums per score bin. A model without scores has its rows in the missing bin, so the table also counts predictions.
-- grain: dt, model_id, model_version, deployment, segment, bin_id
create table if not exists prediction_profile (
    dt date not null, -- day of the predictions (the telemetry partition)
    model_id varchar not null, -- model the row is about
    model_version varchar not null, -- version of the model
    deployment varchar not null, -- production, shadow or canary
    segment varchar not null, -- 'all', or column=value of a segment
    bin_id integer not null, -- bin of feature_bins under the feature 'score'
    row_count bigint not null, -- predictions in the bin
    score_sum double not null, -- sum of their finite scores
    at_cut_count bigint -- predictions in the bin with a score of at least the decision cut; null for models without a cut
);
