-- Which incidents are open on the newest day whose rules were evaluated, and have they been acknowledged or silenced? Worst first.
create or replace view open_incidents as
select *
from incident_history
where dt = (select n.dt from newest_alert_day as n) and state <> 'resolved'
order by
    not is_notified,
    coalesce(not pages, true),
    severity <> 'critical',
    alert_count desc,
    incident_id;
