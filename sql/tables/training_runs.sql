-- Every registered model version, with its training data. Append-only, except for bins_learned_at.
-- grain: model_id, model_version
create table if not exists training_runs (
    model_id varchar not null, -- model the row is about
    model_version varchar not null, -- version of the model
    training_run_id varchar not null, -- identifier of the training run
    training_dataset_id varchar not null, -- identifier of the training dataset
    training_data varchar not null, -- location from which the training data was read
    dataset_fingerprint varchar not null, -- SHA-256 of the bytes of the training files
    lineage_fingerprint varchar not null, -- SHA-256 of the lineage record without paths
    row_count bigint not null, -- rows of the training data
    target varchar, -- label column of the training data
    score varchar, -- score column of the training data; null if it has none
    score_kind varchar not null, -- probability, percent (converted to a probability) or value; it determines the bins of the score
    features varchar[] not null, -- features of the version, in the order of the lineage
    label_delay_p50_days double, -- days until half of the labels have arrived
    label_delay_p95_days double, -- days until 95 % of the labels have arrived
    label_delay_max_days double, -- days after which every label should have arrived
    baseline_auc double, -- AUC stated in the lineage
    feature_importance varchar, -- importance per feature as JSON; null if the lineage gives none
    released_at timestamp with time zone, -- when the version was released
    registered_at timestamp with time zone not null, -- when the version was registered
    task varchar, -- binary, regression or multiclass; null means binary
    quantile double, -- quantile of the target that a regression predicts; null for the mean
    feature_types varchar[], -- Arrow types of the features in the training data, with the names that schema_changes uses; null for versions registered before this column existed
    classes varchar[], -- classes of a multiclass model; null for other tasks
    bins_learned_at timestamp with time zone, -- when `driftlake lineage relearn` learned the bins again; null if they are those of the registration
    positive_label varchar, -- positive label as canonical text; null if the labels are 0 and 1, and for other tasks
    negative_label varchar, -- negative label as canonical text; if it is null and positive_label is not, every other label is negative
    columns_left_out varchar[], -- columns of the training data that are not features, each with the reason; empty if the lineage lists the features
    baseline_accuracy double, -- accuracy stated in the lineage
    baseline_f1_score double -- macro F1 score stated in the lineage of a multiclass model
);
