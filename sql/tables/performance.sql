-- Performance of each model version over the quality window: realised from the labels known on the day, estimated before labels arrive, and both combined. Every interval treats days as clusters.
-- grain: dt, model_id, model_version, deployment, statistic, basis
create table if not exists performance (
    dt date not null, -- day the row is about: only what had arrived by its end is used
    model_id varchar not null, -- model the row is about
    model_version varchar not null, -- version of the model
    deployment varchar not null, -- production, shadow or canary
    statistic varchar not null, -- auc, log_loss, brier_score, accuracy, f1_score (macro F1 of a multiclass model), mean_absolute_error, or the name of a metric in models.<id>.metrics
    basis varchar not null, -- realised: from all known labels; estimated: from the scores; combined: from labels on days for which most labels are known, from corrected estimates on the other days
    window_days integer not null, -- length of the window in days; it ends with dt
    value double, -- value over the window; null where it cannot be computed
    confidence_low double, -- lower end of the 95 % interval with days as clusters; null with fewer than 8 days
    confidence_high double, -- upper end of the 95 % interval
    standard_error double, -- standard error of the value with days as clusters
    day_count integer not null, -- days of the window from which the value is computed
    labelled_day_count integer not null, -- how many of these days have most of their labels
    label_count bigint not null, -- labels of the predictions in the window that were known by the end of dt
    baseline_value double, -- AUC, accuracy or F1 score stated in the lineage; for a metric in models.<id>.metrics its configured baseline; otherwise the value on the training data
    tolerance double, -- how much worse than the baseline the version may be; null if the statistic is not tested
    loss_evidence double, -- evidence, accumulated over nights, that the loss exceeds the tolerance: 0 is none, 1 raises a page; only for the basis combined
    loss_since_on date, -- most likely first day of the loss; null without evidence
    detectable_loss double, -- loss against the baseline that would be detected within 28 days in half of the cases, given how much the days of this model vary
    reason varchar -- why there is no value or no interval
);
