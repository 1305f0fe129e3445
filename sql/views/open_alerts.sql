-- Which alerts are open on the newest day whose rules were evaluated? Worst first.
create or replace view open_alerts as
select *
from alerts
where dt = (select n.dt from newest_alert_day as n) and state is distinct from 'resolved'
order by
    case severity when 'critical' then 1 else 2 end,
    value / nullif(threshold, 0) desc nulls last,
    rule;
