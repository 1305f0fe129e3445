-- View shadow_scores: the counted predictions of models that have a candidate on the day.
-- grain: a prediction
-- inputs: predictions, prediction_groups, duplicate_rows
-- nulls: predictions without correlation id have no partner; a missing deployment is production
create or replace view shadow_scores as
select
    g.dt,
    g.version_id,
    g.model_id,
    g.model_version,
    g.deployment,
    p.correlation_id,
    p.score
from predictions as p
inner join prediction_groups as g
    on p.dt = g.dt
    and p.model_id = g.model_id
    and p.model_version = g.model_version
    and coalesce(p.deployment, 'production') = g.deployment
-- nothing is read for models without a candidate on the day
semi join prediction_groups as o
    on g.dt = o.dt and g.model_id = o.model_id and o.deployment <> 'production'
anti join duplicate_rows as s
    on p.file_id = s.file_id and p.file_row_number = s.file_row_number
where p.correlation_id is not null and is_in_sample(p.correlation_id, g.sampling_rate);
