-- Latency percentiles of the day, from service_profile.
-- grain: dt, model_id, model_version, deployment, segment, metric
create table if not exists service_levels (
    dt date not null, -- day of the predictions (the telemetry partition)
    model_id varchar not null, -- model the row is about
    model_version varchar not null, -- version of the model
    deployment varchar not null, -- production, shadow or canary
    segment varchar not null, -- 'all', or column=value of a segment
    metric varchar not null, -- latency column, e.g. latency_ms
    row_count bigint not null, -- predictions with a latency
    p50_ms double not null, -- median in ms
    p95_ms double not null, -- 95th percentile in ms
    p99_ms double not null -- 99th percentile in ms
);
