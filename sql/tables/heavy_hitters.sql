-- The 100 most frequent values of a day of the columns of telemetry.high_cardinality, counted exactly.
-- grain: dt, model_id, model_version, deployment, segment, column_name, value
create table if not exists heavy_hitters (
    dt date not null, -- day of the predictions (the telemetry partition)
    model_id varchar not null, -- model the row is about
    model_version varchar not null, -- version of the model
    deployment varchar not null, -- production, shadow or canary
    segment varchar not null, -- 'all', or column=value of a segment
    column_name varchar not null, -- column of telemetry
    value varchar not null, -- value as text
    row_count bigint not null, -- predictions with it
    share double not null, -- share of the predictions that have a value
    rank integer not null -- 1 for the most frequent; equally frequent values are ordered by their text
);
