-- What is the last day on which rules were looked at? Earlier than newest_day after a night that ended before its alerts.
create or replace view newest_alert_day as
select max(r.dt) as dt
from partition_runs as r
where r.stage = 'alerts' and r.dt <= (select n.dt from newest_day as n);
