-- Rows of model_verdicts.
-- grain: dt, model_id, model_version, deployment
-- inputs: model_verdicts, newest_day
-- parameters: $model_id, $model_version, null for all; $first_day, $last_day, null for the newest day
select *
from model_verdicts
where
    model_id = coalesce($model_id, model_id)
    and model_version = coalesce($model_version, model_version)
    and dt between coalesce($first_day, (select n.dt from newest_day as n))
    and coalesce($last_day, (select n.dt from newest_day as n))
order by dt, model_id, model_version, deployment;
