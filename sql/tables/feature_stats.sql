-- Moments and percentiles of every feature and day.
-- grain: dt, model_id, model_version, deployment, segment, feature
create table if not exists feature_stats (
    dt date not null, -- day of the predictions (the telemetry partition)
    model_id varchar not null, -- model the row is about
    model_version varchar not null, -- version of the model
    deployment varchar not null, -- production, shadow or canary
    segment varchar not null, -- 'all', or column=value of a segment
    feature varchar not null, -- feature
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
