-- Every model version ever registered, with its training data. Append-only, except for bins_learned_at.
-- grain: model_id, model_version
create table if not exists training_runs (
    model_id varchar not null, -- model the row is about
    model_version varchar not null, -- version of the model
    training_run_id varchar not null, -- identifier of the training run
    training_dataset_id varchar not null, -- identifier of the training dataset
    training_data varchar not null, -- where the training Parquet was read
    dataset_fingerprint varchar not null, -- SHA-256 over the bytes of the training files
    lineage_fingerprint varchar not null, -- SHA-256 over the lineage record without paths
    row_count bigint not null, -- rows of the training data
    target varchar, -- label column of the training data
    score varchar, -- score column of the training data; null if it has none
    score_kind varchar not null, -- probability, percent (read as a probability) or value: decides the bins of the score
    features varchar[] not null, -- features of the version in the order of the lineage
    label_delay_p50_days double, -- days until half of the labels have arrived
    label_delay_p95_days double, -- days until 95 % of the labels have arrived
    label_delay_max_days double, -- days after which every label should have arrived
    baseline_auc double, -- AUC stated in the lineage
    feature_importance varchar, -- importance per feature as JSON; null if the lineage gives none
    released_at timestamp with time zone, -- when the version was released
    registered_at timestamp with time zone not null, -- when it was registered here
    task varchar, -- binary, regression or multiclass; null is binary
    quantile double, -- quantile of the target that a regression predicts; null for the mean
    feature_types varchar[], -- Arrow types of the features in the training data, as schema_changes names them; null if registered before they were stored
    classes varchar[], -- classes of a multiclass model; null for other tasks
    bins_learned_at timestamp with time zone, -- when `driftlake lineage relearn` learned the bins; null if the registration did
    positive_label varchar, -- label that is positive, as canonical text; null if labels are 0 and 1, and for other tasks
    negative_label varchar, -- label that is negative, as canonical text; null with a positive label: every other
    columns_left_out varchar[], -- columns of the training data that were not taken as features, each with the reason; empty if the lineage lists its features
    baseline_accuracy double, -- accuracy stated in the lineage
    baseline_f1_score double -- macro F1 score stated in the lineage of a multiclass model
);
