-- Predictions per day of every model version and deployment.
-- grain: dt, model_id, model_version, deployment
-- inputs: prediction_profile
-- parameters: $first_day, $last_day
select
    dt,
    model_id,
    model_version,
    deployment,
    sum(row_count)::bigint as prediction_count
from prediction_profile
where dt between $first_day and $last_day and segment = 'all'
group by dt, model_id, model_version, deployment
order by dt, model_id, model_version, deployment;
