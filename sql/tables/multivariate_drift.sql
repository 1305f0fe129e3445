-- How far a sample of the predictions of a window differs from training, all features and their relations taken together. No rows if drift.multivariate is off.
-- grain: dt, model_id, model_version, deployment, window_days, statistic
create table if not exists multivariate_drift (
    dt date not null, -- day the row is about
    model_id varchar not null, -- model the row is about
    model_version varchar not null, -- version of the model
    deployment varchar not null, -- production, shadow or canary
    window_days integer not null, -- length of the window that ends with dt, in days
    statistic varchar not null, -- pca_reconstruction_error
    value double, -- mean over the sample of the window; null where there is none, see reason
    reference_value double, -- mean over the half of the training sample from which the components were not learned
    error_shift double, -- value / reference_value - 1, positive or negative; null where training has no error at all
    noise_floor double, -- 99th percentile of the absolute error_shift without drift
    p_value double, -- probability of a difference at least as large, in either direction, without drift; by resampling, at least 0.0005
    component_count integer, -- principal components kept
    current_count bigint not null, -- sampled predictions of the window
    current_day_count integer not null, -- days of the window with sampled predictions
    reference_count bigint not null, -- training rows behind reference_value
    outcome varchar not null, -- stable, drift or insufficient_data
    reason varchar -- why it is not judged
);
