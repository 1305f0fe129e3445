-- Statistics of the predictions of each window, one row per statistic.
-- grain: dt, model_id, model_version, deployment, segment, window_days, statistic, predicted_class
create table if not exists prediction_levels (
    dt date not null, -- day the row is about: only what had arrived by its end is used
    model_id varchar not null, -- model the row is about
    model_version varchar not null, -- version of the model
    deployment varchar not null, -- production, shadow or canary
    segment varchar not null, -- 'all', or column=value of a segment
    window_days integer not null, -- length of the window that ends with dt, in days
    statistic varchar not null, -- mean_score, share_at_cut, mean_confidence or class_share
    predicted_class varchar, -- the class, for class_share; null for other statistics
    value double, -- value of the statistic; null where it cannot be computed
    confidence_low double, -- lower end of its 95 % interval: Wilson's for shares; null for means
    confidence_high double, -- upper end of it
    prediction_count bigint not null, -- predictions behind the statistic: those with a score, or those of telemetry with classes
    baseline_value double, -- the same statistic of the training data; null if it has no scores, and for classes
    outcome varchar not null, -- measured or insufficient_data
    reason varchar -- why the value is missing; null if it is not
);
