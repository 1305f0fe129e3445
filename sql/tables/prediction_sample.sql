-- Predictions of a day whose correlation ids have the smallest hashes, drift.multivariate.sample_rows of them: bins, never values. The sample of a window consists of the smallest hashes of the samples of its days.
-- grain: dt, model_id, model_version, deployment, row_hash
create table if not exists prediction_sample (
    dt date not null, -- day the row is about
    model_id varchar not null, -- model the row is about
    model_version varchar not null, -- version of the model
    deployment varchar not null, -- production, shadow or canary
    row_hash ubigint not null, -- md5_number_lower(correlation_id)
    bins integer[] not null -- bin_id in feature_bins of each feature, in the order of training_runs.features
);
