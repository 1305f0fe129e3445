-- Counts per combination of the bins of two features, for the pairs of driftlake.yaml (models.<id>.pairs). Counts add up over days.
-- grain: dt, model_id, model_version, deployment, segment, feature_a, feature_b, bin_a, bin_b
create table if not exists pair_profile (
    dt date not null, -- day of the predictions (the telemetry partition)
    model_id varchar not null, -- model the row is about
    model_version varchar not null, -- version of the model
    deployment varchar not null, -- production, shadow or canary
    segment varchar not null, -- 'all', or column=value of a segment
    feature_a varchar not null, -- first feature of the pair
    feature_b varchar not null, -- second feature of the pair
    bin_a integer not null, -- bin_id of a category, coarse_bin_id of a number, in feature_bins
    bin_b integer not null, -- the same of the second feature
    row_count bigint not null -- predictions with both
);
