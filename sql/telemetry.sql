-- View telemetry: what the contract of the predictions is checked on.
-- grain: a row of telemetry, of registered versions or not
-- inputs: predictions, versions
create or replace view telemetry as
select
    -- scores that are no probabilities have no range to be checked against
    p.* replace (case when v.score_kind = 'value' then null else p.score end as score),
    v.model_id is not null as is_known_version
from predictions as p
left join versions as v
    on p.model_id = v.model_id and p.model_version = v.model_version;
