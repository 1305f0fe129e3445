-- View telemetry: what the contract of the predictions is checked on.
-- grain: a row of telemetry, of registered versions or not
-- inputs: predictions, versions
create or replace view telemetry as
select
    p.*,
    v.model_id is not null as is_known_version
from predictions as p
left join versions as v
    on p.model_id = v.model_id and p.model_version = v.model_version;
