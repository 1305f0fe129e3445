-- Keys that identify predictions delivered twice, and the order that decides which one counts: the earliest by event_time, file_id, file_row_number.
-- grain: file_id, file_row_number
-- inputs: predictions, prediction_groups
-- nulls: a prediction without correlation id repeats nothing, and is left out
select
    p.file_id,
    p.file_row_number,
    p.event_time,
    g.code,
    is_in_sample(p.correlation_id, g.sampling_rate) as is_sampled,
    prediction_key(g.dt, g.version_id, p.correlation_id) as key_hash
from predictions as p
inner join prediction_groups as g
    on p.dt = g.dt
    and p.model_id = g.model_id
    and p.model_version = g.model_version
    and coalesce(p.deployment, 'production') = g.deployment
where p.correlation_id is not null;
