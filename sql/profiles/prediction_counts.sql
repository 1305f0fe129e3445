-- Numbers of predictions of each registered version in files, and of those in the sample of its model.
-- grain: file_id, dt, model_id, model_version, deployment
-- inputs: predictions, versions
-- nulls: a missing deployment is production
select
    p.file_id,
    p.dt,
    v.model_id,
    v.model_version,
    coalesce(p.deployment, 'production') as deployment,
    count(*) as row_count,
    count(*) filter (where is_in_sample(p.correlation_id, v.sampling_rate)) as sampled_count
from predictions as p
inner join versions as v
    on p.model_id = v.model_id and p.model_version = v.model_version
group by p.file_id, p.dt, v.model_id, v.model_version, coalesce(p.deployment, 'production');
