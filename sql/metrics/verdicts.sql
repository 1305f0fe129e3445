-- The verdict on every model version, day by day.
-- grain: dt, model_id, model_version, deployment
-- inputs: model_verdicts
-- parameters: $first_day, $last_day
select
    dt,
    model_id,
    model_version,
    deployment,
    verdict,
    1 as is_verdict
from model_verdicts
where dt between $first_day and $last_day
order by model_id, model_version, deployment, verdict, dt;
