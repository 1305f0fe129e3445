-- The rate at which the predictions of a day were counted, and their number. Counts of the day in other tables are those of the sampled predictions; a day without a row was counted completely.
-- grain: dt, model_id, model_version, deployment
create table if not exists sampling_rates (
    dt date not null, -- day of the predictions (the telemetry partition)
    model_id varchar not null, -- model the row is about
    model_version varchar not null, -- version of the model
    deployment varchar not null, -- production, shadow or canary
    sampling_rate double not null, -- models.<model_id>.sampling_rate when the day was counted; 1 is all
    prediction_count bigint not null, -- predictions without quarantined rows and duplicates
    sampled_count bigint not null -- those that were counted
);
