-- Predictions without a label and the share that is overdue, day by day, of the versions that predicted on the day.
-- grain: dt, model_id, model_version, deployment
-- inputs: label_backlog
-- parameters: $first_day, $last_day
-- nulls: overdue_share and noise_share if the lineage promises no label delay
select
    b.dt,
    b.model_id,
    b.model_version,
    b.deployment,
    b.outstanding_count,
    b.overdue_share,
    b.noise_share
from label_backlog as b
-- some time after a version stopped predicting, only predictions that never get a label are left
inner join label_backlog as y
    on b.dt = y.dt
    and b.model_id = y.model_id
    and b.model_version = y.model_version
    and b.deployment = y.deployment
    and b.segment = y.segment
    and y.age_bucket = '0'
where b.dt between $first_day and $last_day and b.segment = 'all' and b.age_bucket = 'all'
order by b.model_id, b.model_version, b.deployment, b.dt;
