-- Quality of the model, as of the day: labels that arrived later are not used. quality_history also has the value with all labels known now.
-- grain: dt, model_id, model_version, deployment, segment, window_days, statistic
create table if not exists model_quality (
    dt date not null, -- day the row is about: only what had arrived by its end is used
    model_id varchar not null, -- model the row is about
    model_version varchar not null, -- version of the model
    deployment varchar not null, -- production, shadow or canary
    segment varchar not null, -- 'all', or column=value of a segment
    window_days integer not null, -- prediction days in the window that ends with dt
    statistic varchar not null, -- a statistic of docs/statistics.md, e.g. auc, estimated_auc, mean_absolute_error
    value double, -- value of the statistic; null where it cannot be computed
    confidence_low double, -- lower end of the 95 % interval; of an estimate: for the value that all labels will give
    confidence_high double, -- upper end of the 95 % interval
    binning_low double, -- smallest value that the statistic of the unbinned scores can have
    binning_high double, -- largest value that the statistic of the unbinned scores can have
    prediction_count bigint not null, -- predictions of the window
    label_count bigint not null, -- those labelled by the end of dt
    positive_count bigint not null, -- labels that are 1
    negative_count bigint not null, -- labels that are 0
    coverage_share double, -- label_count / prediction_count
    baseline_value double, -- AUC stated in the lineage, else the value on the training data
    drop_from_baseline double, -- how much worse than the baseline: positive is worse; null if neither direction is worse
    outcome varchar not null, -- measured or insufficient_data
    reason varchar, -- why there is no value, or a remark on it
    minimum_class_count bigint, -- for an AUC: labels of each class below which there is no value; null in rows of earlier releases
    interval_unit varchar -- unit that the interval treats as independent: days or rows; null without an interval, and in rows of earlier releases
);
