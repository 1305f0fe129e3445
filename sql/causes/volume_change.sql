-- Evidence: days with far more or fewer predictions than the same weekdays of the four weeks before.
-- grain: incident_id, subject, known_on
-- inputs: incident_alerts, prediction_volume
with counts as (
    select
        dt,
        model_id,
        deployment,
        sum(prediction_count) as row_count
    from prediction_volume
    group by dt, model_id, deployment
),

examined as (
    select distinct
        s.incident_id,
        s.opened_on,
        s.first_on,
        c.dt,
        c.model_id,
        c.deployment,
        c.row_count
    from incident_alerts as s
    inner join counts as c
        on (s.model_id is null or s.model_id = c.model_id)
        and (s.deployment is null or s.deployment = c.deployment)
        and c.dt between s.first_on and s.until_on
),

compared as (
    select
        l.incident_id,
        l.opened_on,
        l.dt,
        l.model_id,
        l.deployment,
        l.row_count,
        median(b.row_count) as row_count_before,
        min(b.row_count) as lowest_before,
        max(b.row_count) as highest_before
    from examined as l
    inner join counts as b
        on l.model_id = b.model_id
        and l.deployment = b.deployment
        and b.dt between l.dt - 34 and l.first_on - 1
        and (l.dt - b.dt) % 7 = 0
    group by l.incident_id, l.opened_on, l.dt, l.model_id, l.deployment, l.row_count
    having count(*) >= 2
)

select
    incident_id,
    model_id || ' (' || deployment || ')' as subject,
    greatest(dt, opened_on) as known_on,
    least(1, abs(ln(row_count / row_count_before)) / ln(2)) as strength,
    row_count,
    row_count_before
from compared
where
    abs(ln(row_count / row_count_before)) >= ln(1.5)
    -- and twice as far from usual as any of the same weekdays
    and abs(ln(row_count / row_count_before))
    >= 2 * greatest(ln(highest_before / row_count_before), ln(row_count_before / lowest_before));
