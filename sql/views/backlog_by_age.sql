-- How many predictions have no label yet on the newest day, by age?
create or replace view backlog_by_age as
select
    *,
    outstanding_count / prediction_count as outstanding_share
from label_backlog
where dt = (select n.dt from newest_day as n) and age_bucket <> 'due'
order by model_id, model_version, deployment, segment, age_bucket = 'all', age_from_days;
