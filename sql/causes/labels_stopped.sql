-- Evidence for alerts on labels: days on which at most half as many labels arrived as on the same weekdays before.
-- grain: incident_id, subject, known_on
-- inputs: suspects, label_arrivals, partition_runs, training_runs, slo_status
with late as (
    select
        incident_id,
        min(suspected_on) as suspected_on,
        -- labels are overdue only after their declared delay
        min(first_on) - (
            select coalesce(ceil(max(t.label_delay_p95_days)), 0)::integer + 14 from training_runs as t
        ) as first_on,
        max(until_on) as until_on
    from suspects
    where
        signal like 'label_backlog.%'
        or feature like 'labels.%'
        or feature in (select o.slo from slo_status as o where o.sli = 'label_timeliness')
    group by incident_id
),

-- a day without a label file has no labels
arrivals as (
    select
        r.dt,
        coalesce(a.label_count, 0) as label_count
    from (
        select distinct dt
        from partition_runs
        where stage = 'label_cohorts' and outcome not in ('refused', 'failed')
    ) as r
    left join label_arrivals as a on r.dt = a.dt
)

select
    l.incident_id,
    'labels' as subject,
    greatest(a.dt, l.suspected_on) as known_on,
    1 - a.label_count / median(b.label_count) as strength,
    a.dt as stopped_on,
    a.label_count,
    median(b.label_count) as label_count_before
from late as l
inner join arrivals as a on a.dt between l.first_on and l.until_on
inner join arrivals as b on b.dt between a.dt - 34 and l.first_on - 1 and (a.dt - b.dt) % 7 = 0
group by l.incident_id, l.suspected_on, a.dt, a.label_count
having count(*) >= 2 and a.label_count <= median(b.label_count) / 2 and a.label_count < min(b.label_count);
