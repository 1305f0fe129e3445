-- What is the last day that had telemetry, good or bad? Days after it are only windows that run out.
create or replace view newest_day as
select max(dt) as dt
from partition_runs
where stage = 'profiles' and outcome <> 'missing';
