-- View telemetry: the rows on which the contract of the predictions is checked.
-- grain: a row of telemetry, of registered versions or not
-- inputs: predictions, versions, partition_days (dt, day_start_us, day_end_us: its microseconds since 1970)
create or replace view telemetry as
select
    p.*,
    v.model_id is not null as is_known_version,
    -- an unknown version is expected to have a probability
    coalesce(v.score_kind <> 'value', true) as is_score_probability,
    v.training_dataset_id as registered_dataset_id,
    d.day_start_us,
    d.day_end_us
from predictions as p
inner join partition_days as d on p.dt = d.dt
left join versions as v
    on p.model_id = v.model_id and p.model_version = v.model_version;
