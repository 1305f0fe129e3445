-- Evidence for alerts on labels: days with at most half of the labels of the same weekdays before, over all models or for one.
-- grain: incident_id, model_id, known_on
-- inputs: incident_alerts, label_arrivals, label_cohorts, partition_runs, training_runs, slo_status
-- nulls: model_id of the labels of all models
with late as (
    select
        incident_id,
        min(opened_on) as opened_on,
        -- labels are overdue only after their declared delay
        min(first_on) - (
            select coalesce(ceil(max(t.label_delay_p95_days)), 0)::integer + 14 from training_runs as t
        ) as first_on,
        max(until_on) as until_on
    from incident_alerts
    where
        signal like 'label_backlog.%'
        or feature like 'labels.%'
        or feature in (select o.slo from slo_status as o where o.sli = 'label_timeliness')
    group by incident_id
),

late_models as (
    select
        l.*,
        s.model_id
    from late as l
    inner join (
        select distinct
            incident_id,
            model_id
        from incident_alerts
        where model_id is not null
        union all
        select
            incident_id,
            null as model_id
        from late
    ) as s
        on l.incident_id = s.incident_id
),

counts as (
    select
        dt,
        null as model_id,
        label_count
    from label_arrivals
    union all
    -- labels that match a prediction
    select
        dt,
        model_id,
        sum(positive_count + negative_count + coalesce(number_count, 0))::bigint as label_count
    from label_cohorts
    where segment = 'all' and model_id in (select m.model_id from late_models as m)
    group by dt, model_id
),

-- a day without a label file has no labels
arrivals as (
    select
        r.dt,
        m.model_id,
        coalesce(c.label_count, 0) as label_count
    from (
        select distinct dt
        from partition_runs
        where stage = 'label_cohorts' and outcome not in ('refused', 'failed')
    ) as r
    cross join (select distinct model_id from late_models) as m
    left join counts as c on r.dt = c.dt and m.model_id is not distinct from c.model_id
)

select
    l.incident_id,
    'labels' as subject,
    greatest(a.dt, l.opened_on) as known_on,
    1 - a.label_count / median(b.label_count) as strength,
    a.dt as stopped_on,
    coalesce(' of ' || l.model_id, '') as whose,
    a.label_count,
    median(b.label_count) as label_count_before
from late_models as l
inner join arrivals as a on a.dt between l.first_on and l.until_on and l.model_id is not distinct from a.model_id
inner join arrivals as b
    on l.model_id is not distinct from b.model_id
    and b.dt between a.dt - 34 and l.first_on - 1
    and (a.dt - b.dt) % 7 = 0
group by l.incident_id, l.model_id, l.opened_on, a.dt, a.label_count
having count(*) >= 2 and a.label_count <= median(b.label_count) / 2 and a.label_count < min(b.label_count);
