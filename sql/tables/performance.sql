-- How well does each model version do over the quality window, day effects included: realised by the labels known on the day, estimated before labels, and both combined? Days are the clusters of every interval.
-- grain: dt, model_id, model_version, deployment, statistic, basis
create table if not exists performance (
    dt date not null, -- day the row is about: only what had arrived by its end is used
    model_id varchar not null, -- model the row is about
    model_version varchar not null, -- version of the model
    deployment varchar not null, -- production, shadow or canary
    statistic varchar not null, -- auc, log_loss, brier_score, accuracy, mean_absolute_error, or a metric of models.<id>.metrics
    basis varchar not null, -- realised: all known labels; estimated: what the scores promise; combined: labels of the days that have most of them, estimates corrected by realised minus estimated of the others
    window_days integer not null, -- prediction days in the window that ends with dt
    value double, -- value over the window; null where it cannot be computed
    confidence_low double, -- lower end of the 95 % interval, days as clusters; null with fewer than 8 days
    confidence_high double, -- upper end of the 95 % interval
    standard_error double, -- standard error of the value, days as clusters
    day_count integer not null, -- days of the window that the value rests on
    labelled_day_count integer not null, -- of these, days that most of their labels have arrived for
    label_count bigint not null, -- labels of the window known by the end of dt
    baseline_value double, -- AUC stated in the lineage, baseline of a metric of models.<id>.metrics, else the value on the training data
    tolerance double, -- how much worse than the baseline is no harm; null if the statistic decides no verdict
    loss_evidence double, -- evidence collected over nights that the model is worse than baseline and tolerance: 1 pages, 0 is none; of the basis combined
    loss_since_on date, -- most likely first day of the loss; null without evidence
    detectable_loss double, -- smallest loss below the baseline that shows within 28 days, by how much the days of this model differ
    reason varchar -- why there is no value or no interval
);
