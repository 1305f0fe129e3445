-- How many predictions did every version make each day, and how many of them were counted?
create or replace view prediction_volume as
select
    dt,
    model_id,
    model_version,
    deployment,
    sampling_rate,
    prediction_count,
    sampled_count
from sampling_rates
union all
select
    p.dt,
    p.model_id,
    p.model_version,
    p.deployment,
    1 as sampling_rate,
    sum(p.row_count)::bigint as prediction_count,
    sum(p.row_count)::bigint as sampled_count
from prediction_profile as p
anti join sampling_rates as s
    on p.dt = s.dt and p.model_id = s.model_id and p.model_version = s.model_version and p.deployment = s.deployment
where p.segment = 'all'
group by p.dt, p.model_id, p.model_version, p.deployment;
