-- Fills prediction_groups: the distinct things a prediction belongs to, numbered from 0.
-- grain: dt, model_id, model_version, deployment
-- inputs: prediction_rows
create or replace table prediction_groups as
select
    dt,
    model_id,
    model_version,
    deployment,
    count(*) as row_count,
    (row_number() over (order by dt, model_id, model_version, deployment) - 1)::integer as code
from prediction_rows
group by dt, model_id, model_version, deployment;
