-- How far is every feature from training on the newest day? The common statistics side by side.
create or replace view latest_drift as
select *
from drift_by_feature
where dt = (select n.dt from newest_day as n)
order by psi desc nulls last;
