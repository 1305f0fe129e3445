-- Predictions per predicted class, of telemetry with the column predicted_class.
-- grain: dt, model_id, model_version, deployment, segment, predicted_class
create table if not exists class_profile (
    dt date not null, -- day of the predictions (the telemetry partition)
    model_id varchar not null, -- model the row is about
    model_version varchar not null, -- version of the model
    deployment varchar not null, -- production, shadow or canary
    segment varchar not null, -- 'all', or column=value of a segment
    predicted_class varchar not null, -- class as text; '(missing)' for predictions without one
    row_count bigint not null -- predictions of the class
);
