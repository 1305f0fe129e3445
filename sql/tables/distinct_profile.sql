-- Number of different values of the columns of telemetry.high_cardinality, as HyperLogLog registers. The macro distinct_between merges them over days.
-- grain: dt, model_id, model_version, deployment, segment, column_name
create table if not exists distinct_profile (
    dt date not null, -- day of the predictions (the telemetry partition)
    model_id varchar not null, -- model the row is about
    model_version varchar not null, -- version of the model
    deployment varchar not null, -- production, shadow or canary
    segment varchar not null, -- 'all', or column=value of a segment
    column_name varchar not null, -- column of telemetry
    row_count bigint not null, -- predictions in files that have the column
    missing_count bigint not null, -- those without a value
    distinct_count bigint not null, -- estimate of the different values, standard error 1.6 %
    registers integer[] not null -- 64 * register + rank for each register of 4096 that is occupied: register = md5_number_lower(value) % 4096, rank = place of the first one bit among the others; merged by the largest rank
);
