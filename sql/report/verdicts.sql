-- The verdict on every model version on a day, the worst first.
-- grain: model_id, model_version, deployment
-- inputs: model_verdicts
-- parameters: $day
select
    verdict,
    model_id,
    model_version,
    deployment,
    since_on,
    sentence,
    incident_id
from model_verdicts
where dt = $day
order by
    verdict_place(verdict), model_id, model_version, deployment;
