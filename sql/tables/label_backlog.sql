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
    labelled_count bigint not null, -- of these, labelled by the end of dt
    outstanding_count bigint not null, -- of these, without a label
    expected_outstanding_count double, -- of these, may be without a label by the promise of the lineage: all before p50, half from p50 on, 5 % from p95 on, none from max on; null if it promises nothing
    overdue_count double, -- of ages from p95 on: outstanding beyond what the promise allows, summed over the ages with offsets, at least 0; null if nothing is promised
    overdue_share double, -- overdue_count / prediction_count
    growth_count bigint not null, -- outstanding_count minus that of the day before
    sampled_count bigint, -- predictions of that age that were counted: the rows behind the estimates; null in rows of older versions
    noise_share double -- overdue_share that is within the noise of the promise, the labels of each day taken as one batch; null if nothing is promised, and in rows of older versions
);
