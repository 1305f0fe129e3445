-- Sampled predictions of the days of all windows, those of a group together.
-- grain: model_id, model_version, deployment, dt, row_hash
-- inputs: prediction_sample
-- parameters: $first_day, $last_day
select
    dt,
    model_id,
    model_version,
    deployment,
    row_hash,
    bins
from prediction_sample
where dt between $first_day and $last_day
order by model_id, model_version, deployment, dt, row_hash, bins;
