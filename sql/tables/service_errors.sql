-- Kinds of errors of a day, the 20 most frequent of each version.
-- grain: dt, model_id, model_version, deployment, error_kind
create table if not exists service_errors (
    dt date not null, -- day of the predictions (the telemetry partition)
    model_id varchar not null, -- model the row is about
    model_version varchar not null, -- version of the model
    deployment varchar not null, -- production, shadow or canary
    error_kind varchar not null, -- as in telemetry, or (other)
    row_count bigint not null -- predictions with it
);
