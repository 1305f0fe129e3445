-- The predictions of a version and deployment with the smallest hashes: the same rows in every call.
-- grain: file_id, file_row_number
-- inputs: predictions, prediction_groups, duplicate_rows
-- parameters: $model_id, $model_version, $deployment, $sample_rows
-- nulls: a prediction without correlation id is in no sample
select
    p.file_id,
    p.file_row_number,
    md5_number_lower(p.correlation_id) as row_hash
from predictions as p
inner join prediction_groups as g
    on p.dt = g.dt
    and p.model_id = g.model_id
    and p.model_version = g.model_version
    and coalesce(p.deployment, 'production') = g.deployment
anti join duplicate_rows as s
    on p.file_id = s.file_id and p.file_row_number = s.file_row_number
where
    g.model_id = $model_id
    and g.model_version = $model_version
    and g.deployment = $deployment
    and p.correlation_id is not null
    and is_in_sample(p.correlation_id, g.sampling_rate)
order by row_hash, p.dt, p.file_id, p.file_row_number
limit $sample_rows;
