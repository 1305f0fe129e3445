-- Performance of each model version over the quality window: realised from the labels known on the day, estimated before labels arrive, and both combined. Every interval treats days as clusters.
-- grain: dt, model_id, model_version, deployment, statistic, basis
create table if not exists performance (
    dt date not null, -- day the row is about: only what had arrived by its end is used
    model_id varchar not null, -- model the row is about
    model_version varchar not null, -- version of the model
    deployment varchar not null, -- production, shadow or canary
    statistic varchar not null, -- auc, log_loss, brier_score, accuracy, f1_score (macro, of several classes), mean_absolute_error, or a metric of models.<id>.metrics
    basis varchar not null, -- realised: from all known labels; estimated: from the scores; combined: labels for the days that have most of them, corrected estimates for the others
    window_days integer not null, -- prediction days in the window that ends with dt
    value double, -- value over the window; null where it cannot be computed
    confidence_low double, -- lower end of the 95 % interval, days as clusters; null with fewer than 8 days
    confidence_high double, -- upper end of the 95 % interval
    standard_error double, -- standard error of the value, days as clusters
    day_count integer not null, -- days of the window behind the value
    labelled_day_count integer not null, -- of these, days for which most labels have arrived
    label_count bigint not null, -- labels of the window known by the end of dt
    baseline_value double, -- AUC, accuracy or F1 score stated in the lineage, the configured baseline of a metric of models.<id>.metrics, or else the value on the training data
    tolerance double, -- how much worse than the baseline the version may be; null if the statistic is not tested
    loss_evidence double, -- evidence, added up over nights, that the model is worse than its tolerance allows: 0 is none, it pages at 1; only for the basis combined
    loss_since_on date, -- most likely first day of the loss; null without evidence
    detectable_loss double, -- loss below the baseline that is found within 28 days in half of the cases, given the differences between days of this model
    reason varchar -- why there is no value or no interval
);
