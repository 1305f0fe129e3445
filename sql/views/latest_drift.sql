-- How far is every feature from training on the newest day? The common statistics side by side.
create or replace view latest_drift as
select *
from drift_by_feature
where dt = (select max(dt) from feature_drift)
order by psi desc nulls last;
