-- How far each feature is from its reference, one row per statistic.
-- grain: dt, model_id, model_version, deployment, segment, feature, window_days, reference, statistic
create table if not exists feature_drift (
    dt date not null, -- day the row is about: only what had arrived by its end is used
    model_id varchar not null, -- model the row is about
    model_version varchar not null, -- version of the model
    deployment varchar not null, -- production, shadow or canary
    segment varchar not null, -- 'all', or column=value of a segment
    feature varchar not null, -- feature
    window_days integer not null, -- length of the window that ends with dt, in days
    reference varchar not null, -- what the window is compared with: training, preceding, four_weeks_before or the name of a period or version in drift.references
    statistic varchar not null, -- a statistic of docs/statistics.md, e.g. psi
    value double, -- value of the statistic; null where it cannot be computed
    noise_floor double, -- 99th percentile of the statistic when nothing drifted, at these sample sizes; null where unknown
    error_bound double, -- how much larger the statistic of the unbinned values can be; null if binning does not change it
    p_value double, -- probability of a value at least this large when nothing drifted
    q_value double, -- p-value after Benjamini-Hochberg over the features of one model version, day and window
    current_count bigint not null, -- rows of the window, the current side
    current_day_count integer not null, -- days of the window that have predictions
    reference_count bigint not null, -- rows of the reference side
    warn_threshold double, -- threshold of warn, from driftlake.yaml at that time
    drift_threshold double, -- threshold of drift, from driftlake.yaml at that time
    outcome varchar not null, -- stable, warn, drift or insufficient_data
    reason varchar -- why the value is missing, or a remark on it; null without either
);
