-- Sampled predictions of the days of all windows, by group.
-- grain: model_id, model_version, deployment, dt, row_hash
-- inputs: prediction_sample, groups (model_id, model_version, deployment, segment)
-- parameters: $first_day, $last_day
select
    s.dt,
    s.model_id,
    s.model_version,
    s.deployment,
    s.row_hash,
    s.bins
from prediction_sample as s
semi join groups as g
    on s.model_id = g.model_id and s.model_version = g.model_version and s.deployment = g.deployment
where s.dt between $first_day and $last_day
order by s.model_id, s.model_version, s.deployment, s.dt, s.row_hash, s.bins;
