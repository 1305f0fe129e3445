-- Latency counts in log-spaced bins of 1 % relative width: percentiles merge over days.
-- grain: dt, model_id, model_version, deployment, segment, metric, bin_id
create table if not exists service_profile (
    dt date not null, -- day of the predictions (the telemetry partition)
    model_id varchar not null, -- model the row is about
    model_version varchar not null, -- version of the model
    deployment varchar not null, -- production, shadow or canary
    segment varchar not null, -- 'all', or column=value of a segment
    metric varchar not null, -- latency column, e.g. latency_ms
    bin_id integer not null, -- floor(ln(value in ms) / ln(1.01)); values up to 0.001 ms share the lowest bin
    lower_ms double not null, -- lower border in ms
    upper_ms double not null, -- upper border in ms
    row_count bigint not null -- predictions in the bin
);
