-- Fills prediction_groups: the combinations of day, version and deployment, numbered from 0.
-- grain: dt, version_id, deployment
-- inputs: predictions, versions
-- nulls: a missing deployment is production
create or replace table prediction_groups as
with found as (
    select distinct
        dt,
        model_id,
        model_version,
        coalesce(deployment, 'production') as deployment
    from predictions
)

select
    f.dt,
    v.version_id,
    f.model_id,
    f.model_version,
    f.deployment,
    v.sampling_rate,
    (row_number() over (order by f.dt, f.model_id, f.model_version, f.deployment) - 1)::integer as code
from found as f
inner join versions as v on f.model_id = v.model_id and f.model_version = v.model_version;
