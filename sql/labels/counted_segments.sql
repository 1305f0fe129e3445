-- Segments in which predictions of some days were counted.
-- grain: dt, model_id, model_version, deployment, segment
-- inputs: prediction_profile
-- parameters: $first_day, $last_day
select distinct
    dt,
    model_id,
    model_version,
    deployment,
    segment
from prediction_profile
where dt between $first_day and $last_day and segment <> 'all'
order by dt, model_id, model_version, deployment, segment;
