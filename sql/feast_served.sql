-- Rows of the logs of a feature service, each once: Feast may write a row again after a failure.
-- Grain: an entity of a request.
-- Inputs: logged.
-- Parameters: $latest, the last instant that is not in the future.
create or replace temp table served as
select *
from logged
where
    "request:" is not null
    and "logged:" <= $latest
qualify row_number() over (partition by "request:", "entity:" order by "logged:", "file:") = 1
