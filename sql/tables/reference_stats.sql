-- Moments and percentiles of the training data.
-- grain: model_id, model_version, feature
create table if not exists reference_stats (
    model_id varchar not null, -- model the row is about
    model_version varchar not null, -- version of the model
    feature varchar not null, -- feature, or 'score'
    row_count bigint not null, -- rows, missing ones included
    missing_count bigint not null, -- rows where the feature is null or NaN
    mean double, -- mean of the finite values; null for categories
    standard_deviation double, -- population standard deviation of the finite values
    minimum double, -- smallest finite value
    maximum double, -- largest finite value
    p01 double, -- 1st percentile, interpolated inside its bin
    p05 double, -- 5th percentile, interpolated inside its bin
    p25 double, -- 25th percentile, interpolated inside its bin
    p50 double, -- 50th percentile, interpolated inside its bin
    p75 double, -- 75th percentile, interpolated inside its bin
    p95 double, -- 95th percentile, interpolated inside its bin
    p99 double -- 99th percentile, interpolated inside its bin
);
