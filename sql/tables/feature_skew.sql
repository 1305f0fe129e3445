-- Values of features as they were served, compared with those computed offline for the same predictions (telemetry.offline). No rows without offline values.
-- grain: dt, model_id, model_version, deployment, segment, feature
create table if not exists feature_skew (
    dt date not null, -- day of the predictions (the telemetry partition)
    model_id varchar not null, -- model the row is about
    model_version varchar not null, -- version of the model
    deployment varchar not null, -- production, shadow or canary
    segment varchar not null, -- 'all', or column=value of a segment
    feature varchar not null, -- feature of the version that the offline files have
    compared_count bigint not null, -- predictions with a row in the offline files
    different_count bigint not null, -- compared predictions whose values differ by more than the tolerance, or are missing on one side only
    different_share double not null, -- different_count / compared_count
    missing_count bigint not null, -- different predictions whose served value is missing
    surplus_count bigint not null, -- different predictions whose offline value is missing
    lower_count bigint not null, -- different predictions whose served number is lower
    higher_count bigint not null, -- different predictions whose served number is higher
    mean_difference double, -- mean of served minus offline over the numbers that differ; null without any, and for categories
    largest_difference double, -- served minus offline of the prediction that differs most
    tolerance double, -- largest difference that counts as equal; null for categories, and where only rounding is tolerated
    sample_ids varchar[] not null -- correlation ids of up to three different predictions, those with the smallest hashes
);
