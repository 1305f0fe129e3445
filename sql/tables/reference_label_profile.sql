-- Labels of the training data per score bin of the training scores; labels without a score are in bin 0.
-- grain: model_id, model_version, bin_id
create table if not exists reference_label_profile (
    model_id varchar not null, -- model the row is about
    model_version varchar not null, -- version of the model
    bin_id integer not null, -- score bin of feature_bins
    positive_count bigint not null, -- labels that are 1; none for a regression
    negative_count bigint not null, -- labels that are 0
    number_count bigint not null, -- labels of a regression
    log_loss_sum double, -- sum of -ln(probability given to what happened), clipped at 1e-15; null for models without a probability
    squared_error_sum double, -- sum of (score - label) squared; null for scores that are neither a probability nor a prediction of the label
    error_sum double, -- sum of score - label; null unless the task is a regression
    absolute_error_sum double, -- sum of |score - label|; null unless the task is a regression
    quantile_loss_sum double -- sum of the loss at the quantile of the lineage, the median if there is none; null unless the task is a regression
);
