-- How the importance of the features for the predictions of a window differs from training, or from the window before where the lineage has no importance.
-- grain: dt, model_id, model_version, deployment, segment, window_days, feature, statistic
create table if not exists importance_drift (
    dt date not null, -- day the row is about
    model_id varchar not null, -- model the row is about
    model_version varchar not null, -- version of the model
    deployment varchar not null, -- production, shadow or canary
    segment varchar not null, -- 'all', or column=value of a segment
    window_days integer not null, -- length of the window that ends with dt, in days
    feature varchar, -- feature; null for the whole model
    reference varchar not null, -- training, or preceding: the window before
    statistic varchar not null, -- ndcg (of the ranking), rank_change (positive: more important), share_change (of all importance), dominant (the share now)
    value double, -- value; null if it cannot be measured
    current_count bigint not null, -- predictions of the window with SHAP values
    outcome varchar, -- stable, drift or insufficient_data; null for rank_change and share_change, which are descriptive and have no outcome
    reason varchar -- why it is insufficient_data; null otherwise
);
