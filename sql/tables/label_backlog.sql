-- Predictions still without a label, by age, compared with the label delay of the lineage. For days that were sampled the counts are estimates: each sampled prediction stands for 1 / sampling_rate.
-- grain: dt, model_id, model_version, deployment, segment, age_bucket
create table if not exists label_backlog (
    dt date not null, -- day the row is about: only what had arrived by its end is used
    model_id varchar not null, -- model the row is about
    model_version varchar not null, -- version of the model
    deployment varchar not null, -- production, shadow or canary
    segment varchar not null, -- 'all', or column=value of a segment
    age_bucket varchar not null, -- age of the predictions in days at the end of dt: a range such as 2-3, 'all', or 'due': those of the last seven days that reached the promised p95
    age_from_days integer not null, -- youngest age in the bucket
    prediction_count bigint not null, -- predictions of that age
    labelled_count bigint not null, -- those labelled by the end of dt
    outstanding_count bigint not null, -- those without a label
    expected_outstanding_count double, -- the number that may still lack a label according to label_delay in the lineage: all before p50, half from p50 on, 5 % from p95 on, none from max on; null without label_delay
    overdue_count double, -- outstanding beyond what label_delay allows, summed over the ages from p95 on with offsets, at least 0; null without label_delay
    overdue_share double, -- overdue_count / prediction_count
    growth_count bigint not null, -- outstanding_count minus that of the day before
    sampled_count bigint, -- predictions of that age that were counted: the rows behind the estimates; null in rows of earlier releases
    noise_share double -- largest overdue_share that is within noise, the labels of each day taken as one batch; null without label_delay, and in rows of earlier releases
);
