-- Fills prediction_groups: the distinct things a prediction belongs to, numbered from 0.
-- grain: dt, version_id, deployment
-- inputs: scored_predictions
create or replace table prediction_groups as
select
    dt,
    version_id,
    model_id,
    model_version,
    deployment,
    (row_number() over (order by dt, model_id, model_version, deployment) - 1)::integer as code
from scored_predictions
group by dt, version_id, model_id, model_version, deployment;
