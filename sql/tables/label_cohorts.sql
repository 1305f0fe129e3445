-- Labels joined to their predictions, counted by prediction day, score bin and the day on which the pair became known. The sum over dt <= T is what was known at the end of T.
-- grain: dt, prediction_on, model_id, model_version, deployment, segment, bin_id
create table if not exists label_cohorts (
    dt date not null, -- day the label became known: the later of its arrival and its prediction
    prediction_on date not null, -- day of the prediction
    model_id varchar not null, -- model the row is about
    model_version varchar not null, -- version of the model
    deployment varchar not null, -- production, shadow or canary
    segment varchar not null, -- 'all', or column=value of a segment
    bin_id integer not null, -- score bin of feature_bins
    positive_count bigint not null, -- labels that are 1; none for a regression or a multiclass model
    negative_count bigint not null, -- labels that are 0
    score_sum double not null, -- sum of the scores
    log_loss_sum double, -- sum of -ln(probability given to what happened), clipped at 1e-15; null for models without a probability
    squared_error_sum double, -- sum of (score - label) squared; null for scores that are neither a probability nor a prediction of the label
    true_positive_count bigint, -- labels that are 1 with a score of at least the decision cut
    false_positive_count bigint, -- labels that are 0 with a score of at least the decision cut
    number_count bigint, -- labels of a regression or of a multiclass model, which are neither positive nor negative
    error_sum double, -- sum of score - label; null unless the task is a regression
    absolute_error_sum double, -- sum of |score - label|; null unless the task is a regression
    quantile_loss_sum double -- sum of the loss at the quantile of the lineage, the median if there is none; null unless the task is a regression
);
