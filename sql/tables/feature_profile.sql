-- Counts per bin of every feature: the additive profile that drift over any window is summed from. Bins without a row are left out.
-- grain: dt, model_id, model_version, deployment, segment, feature, bin_id
create table if not exists feature_profile (
    dt date not null, -- day of the predictions (the telemetry partition)
    model_id varchar not null, -- model the row is about
    model_version varchar not null, -- version of the model
    deployment varchar not null, -- production, shadow or canary
    segment varchar not null, -- 'all', or column=value of a segment
    feature varchar not null, -- feature
    bin_id integer not null, -- bin of feature_bins
    row_count bigint not null -- predictions in the bin
);
