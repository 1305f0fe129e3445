-- Windows whose predictions or labels in model_quality are not the sums of the profiles and cohorts, although none of these was written after them.
-- grain: dt, model_id, model_version, deployment, segment, window_days
-- inputs: model_quality, prediction_profile, label_cohorts, newest_writes
with windows as (
    select
        q.dt,
        q.model_id,
        q.model_version,
        q.deployment,
        q.segment,
        q.window_days,
        max(q.prediction_count) as prediction_count,
        max(q.label_count) as label_count,
        any_value(r.snapshot_id) as snapshot_id
    from model_quality as q
    inner join newest_writes as r on q.dt = r.dt and r.stage = 'model_quality'
    group by q.dt, q.model_id, q.model_version, q.deployment, q.segment, q.window_days
),

stale as (
    select distinct
        w.dt,
        w.window_days
    from windows as w
    inner join newest_writes as p
        -- labels of a window may have come before it
        on (p.stage = 'label_cohorts' or p.stage = 'profiles' and p.dt > w.dt - w.window_days)
        and p.dt <= w.dt
        and p.snapshot_id > w.snapshot_id
),

predictions as (
    select
        dt,
        model_id,
        model_version,
        deployment,
        segment,
        sum(row_count) as row_count
    from prediction_profile
    group by dt, model_id, model_version, deployment, segment
),

labels as (
    select
        dt,
        prediction_on,
        model_id,
        model_version,
        deployment,
        segment,
        sum(positive_count + negative_count + coalesce(number_count, 0)) as row_count
    from label_cohorts
    group by dt, prediction_on, model_id, model_version, deployment, segment
),

summed as (
    select
        w.*,
        (
            select coalesce(sum(p.row_count), 0)
            from predictions as p
            where p.dt between w.dt - w.window_days + 1 and w.dt
                and w.model_id = p.model_id
                and w.model_version = p.model_version
                and w.deployment = p.deployment
                and w.segment = p.segment
        ) as profile_count,
        (
            select coalesce(sum(c.row_count), 0)
            from labels as c
            where c.dt <= w.dt
                and c.prediction_on between w.dt - w.window_days + 1 and w.dt
                and w.model_id = c.model_id
                and w.model_version = c.model_version
                and w.deployment = c.deployment
                and w.segment = c.segment
        ) as cohort_count
    from windows as w
    anti join stale
        on w.dt = stale.dt and w.window_days = stale.window_days
)

select
    dt,
    'model_quality' as table_name,
    format(
        '{} {} {} {} over {} days: {} predictions and {} labels in model_quality, {} and {} in profiles and cohorts',
        model_id,
        model_version,
        deployment,
        segment,
        window_days,
        prediction_count,
        label_count,
        profile_count,
        cohort_count
    ) as what
from summed
where prediction_count <> profile_count or label_count <> cohort_count
order by dt, what;
