-- Fills offline_pairs: predictions with the offline values of the same id and day; `served` and `offline` hold all columns of each side.
-- grain: a prediction
-- inputs: predictions, offline_values, versions
-- nulls: a missing deployment is production; a prediction without correlation id has no pair
create or replace table offline_pairs as
with once as (
    select *
    from predictions
    where correlation_id is not null
    -- of predictions delivered twice the earliest counts
    qualify
        row_number() over (
            partition by dt, model_id, model_version, correlation_id order by event_time, file_id, file_row_number
        )
        = 1
),

offline_once as (
    select *
    from offline_values
    where correlation_id is not null
    qualify row_number() over (partition by dt, correlation_id order by file_id, file_row_number) = 1
)

select
    p.dt,
    p.model_id,
    p.model_version,
    coalesce(p.deployment, 'production') as deployment,
    p.correlation_id,
    p.segments,
    p as served,
    o as offline
from once as p
inner join offline_once as o on p.dt = o.dt and p.correlation_id = o.correlation_id
inner join versions as v on p.model_id = v.model_id and p.model_version = v.model_version
where is_in_sample(p.correlation_id, v.sampling_rate);
