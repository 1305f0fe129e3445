-- A sample of the training rows of a version, drift.multivariate.reference_rows of them: bins, never values.
-- grain: model_id, model_version, row_hash
create table if not exists reference_sample (
    model_id varchar not null, -- model the row is about
    model_version varchar not null, -- version of the model
    row_hash ubigint not null, -- md5_number_lower(number of the training row, from 0), the smallest ones
    bins integer[] not null -- bin_id in feature_bins of each feature, in the order of training_runs.features
);
