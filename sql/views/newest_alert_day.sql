-- What is the last day on which rules were looked at? Earlier than newest_day after a night whose alerts did not come about.
create or replace view newest_alert_day as
select max(r.dt) as dt
from partition_runs as r
where r.stage = 'alerts' and r.outcome <> 'failed' and r.dt <= (select n.dt from newest_day as n);
