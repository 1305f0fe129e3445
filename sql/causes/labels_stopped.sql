-- Evidence for alerts on labels: days on which at most half of the usual labels arrived.
-- grain: incident_id, subject, known_on
-- inputs: suspects, label_arrivals
with late as (
    select
        incident_id,
        min(suspected_on) as suspected_on,
        -- labels are overdue only some time after they stopped
        min(first_on) - 14 as first_on,
        max(until_on) as until_on
    from suspects
    where signal = 'label_backlog.overdue_share' or feature like 'labels.%'
    group by incident_id
),

arrivals as (
    select
        l.incident_id,
        l.suspected_on,
        l.first_on,
        a.dt,
        a.label_count,
        median(a.label_count) filter (where a.dt < l.first_on) over (partition by l.incident_id) as label_count_before
    from late as l
    inner join label_arrivals as a on a.dt between l.first_on - 28 and l.until_on
)

select
    incident_id,
    'labels' as subject,
    greatest(dt, suspected_on) as known_on,
    1 - label_count / label_count_before as strength,
    dt as stopped_on,
    label_count,
    label_count_before
from arrivals
where dt >= first_on and label_count <= label_count_before / 2 and label_count_before > 0;
