-- Every registered model version with its training run and dataset, in the order of registration.
-- grain: model_id, model_version
-- inputs: training_runs
select
    model_id,
    model_version,
    training_run_id,
    training_dataset_id,
    training_data,
    row_count as training_row_count,
    dataset_fingerprint,
    lineage_fingerprint,
    coalesce(task, 'binary') as task,
    target,
    array_to_string(features, ', ') as features,
    baseline_auc,
    baseline_accuracy,
    baseline_f1_score,
    released_at,
    registered_at,
    -- a registered version never changes; a correction is a new version
    lead(model_version) over (partition by model_id order by registered_at, model_version) as followed_by,
    lead(registered_at) over (partition by model_id order by registered_at, model_version) as followed_at,
    min(registered_at) over (partition by training_dataset_id) as dataset_registered_at
from training_runs
order by registered_at, model_id, model_version;
