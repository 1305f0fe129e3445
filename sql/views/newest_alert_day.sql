-- What is the last day whose alert rules were evaluated? It is earlier than newest_day if the stage alerts failed on the newest day.
create or replace view newest_alert_day as
select max(r.dt) as dt
from partition_runs as r
where r.stage = 'alerts' and r.outcome <> 'failed' and r.dt <= (select n.dt from newest_day as n);
