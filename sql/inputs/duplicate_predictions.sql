-- All but the earliest of predictions delivered twice, so that at-least-once delivery does no harm.
-- grain: file_id, file_row_number
-- inputs: predictions, prediction_groups, repeated_keys (the key_hash values that occur more than once)
with keyed as (
    select
        p.file_id,
        p.file_row_number,
        p.event_time,
        prediction_key(g.dt, g.version_id, p.correlation_id) as key_hash
    from predictions as p
    inner join prediction_groups as g
        on p.dt = g.dt
        and p.model_id = g.model_id
        and p.model_version = g.model_version
        and coalesce(p.deployment, 'production') = g.deployment
)

select
    k.file_id,
    k.file_row_number
from keyed as k
semi join repeated_keys as r on k.key_hash = r.key_hash
qualify row_number() over (partition by k.key_hash order by k.event_time, k.file_id, k.file_row_number) > 1;
