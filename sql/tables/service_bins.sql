-- Latencies of every hour and of every node of a day in log-spaced bins of 5 % relative width: percentiles merge over hours, nodes and days.
-- grain: dt, model_id, model_version, deployment, hour_at, node_id, metric, bin_id
create table if not exists service_bins (
    dt date not null, -- day of the predictions (the telemetry partition)
    model_id varchar not null, -- model the row is about
    model_version varchar not null, -- version of the model
    deployment varchar not null, -- production, shadow or canary
    hour_at timestamp, -- beginning of the hour of event_time, UTC; an event_time without a time zone is in telemetry.timezone, by default UTC; null in rows about a node
    node_id varchar, -- node that answered, or (other) beyond telemetry.segment_limit nodes a day; null in rows about an hour
    metric varchar not null, -- latency column: latency_ms or one of telemetry.latencies
    bin_id integer not null, -- floor(bin_id of service_profile / 5)
    lower_ms double not null, -- lower border in ms
    upper_ms double not null, -- upper border in ms
    row_count bigint not null -- predictions in the bin
);
