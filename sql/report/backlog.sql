-- Predictions without a label at the end of a day, by age, with the change over the last seven days.
-- grain: model_id, model_version, deployment, age_bucket
-- inputs: label_backlog
-- parameters: $day
with week as (
    select
        model_id,
        model_version,
        deployment,
        age_bucket,
        sum(growth_count)::bigint as week_growth_count
    from label_backlog
    where dt > $day::date - 7 and dt <= $day and segment = 'all'
    group by model_id, model_version, deployment, age_bucket
)

select
    b.model_id,
    b.model_version,
    b.deployment,
    b.age_bucket,
    b.age_from_days,
    b.prediction_count,
    b.outstanding_count,
    b.expected_outstanding_count,
    b.overdue_count,
    b.overdue_share,
    b.growth_count,
    w.week_growth_count
from label_backlog as b
inner join week as w
    on b.model_id = w.model_id
    and b.model_version = w.model_version
    and b.deployment = w.deployment
    and b.age_bucket = w.age_bucket
where b.dt = $day and b.segment = 'all' and b.age_bucket <> 'due'
order by b.model_id, b.model_version, b.deployment, b.age_bucket = 'all', b.age_from_days;
