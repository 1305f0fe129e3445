-- Availability, throughput and GPU utilization of every day, of its hours and of its nodes: sums, so that they merge. service_part_levels has the shares.
-- grain: dt, model_id, model_version, deployment, hour_at, node_id
create table if not exists service_parts (
    dt date not null, -- day of the predictions (the telemetry partition)
    model_id varchar not null, -- model the row is about
    model_version varchar not null, -- version of the model
    deployment varchar not null, -- production, shadow or canary
    hour_at timestamp, -- beginning of the hour of event_time, UTC; an event_time without a time zone is in telemetry.timezone, by default UTC; null in rows about a node and about the day
    node_id varchar, -- node that answered, or (other) beyond telemetry.segment_limit nodes a day; null in rows about an hour and about the day
    prediction_count bigint not null, -- predictions
    outcome_count bigint not null, -- predictions whose success is known, true or false
    success_count bigint not null, -- successful predictions
    gpu_count bigint not null, -- predictions with a gpu_utilization
    gpu_utilization_sum double not null, -- sum of their gpu_utilization, in the unit of telemetry
    gpu_utilization_max double -- largest gpu_utilization; null if there is none
);
