-- What is the last day that had telemetry, good or bad? Later days only have windows that still contain it.
create or replace view newest_day as
select max(dt) as dt
from partition_runs
where stage = 'profiles' and outcome <> 'missing';
