-- How far is every feature, over all segments, from training on the newest day? drift_by_feature has segments and other references.
create or replace view latest_drift as
select *
from drift_by_feature
where dt = (select n.dt from newest_day as n) and segment = 'all' and reference = 'training'
order by psi desc nulls last;
