-- Facts of the verdict on every version that predicted within the last days: its most important open incident, and its performance.
-- grain: dt, model_id, model_version, deployment
-- inputs: prediction_volume, performance, day_alerts, day_incidents
-- parameters: $first_day, $last_day, $recent_days
-- nulls: incident_id and title if no alert is open; statistic and the columns after it if no performance is tested
with current_versions as (
    select
        d.dt,
        v.model_id,
        v.model_version,
        v.deployment
    from (select unnest(range($first_day::date, $last_day::date + 1, interval 1 day))::date as dt) as d
    inner join prediction_volume as v on v.dt > d.dt - $recent_days::integer and v.dt <= d.dt
    group by d.dt, v.model_id, v.model_version, v.deployment
),

-- an alert without a model is about every model, one without a version about every version
findings as (
    select
        c.dt,
        c.model_id,
        c.model_version,
        c.deployment,
        i.incident_id,
        i.title,
        i.since_on,
        case
            when i.pages and i.kind = 'harm' then 'harmed'
            when i.pages and i.kind = 'break' then 'broken'
            when i.pages and i.kind = 'blind' then 'blind'
            else 'watch'
        end as verdict,
        coalesce(a.weight, 0) as weight,
        count(*) over (partition by c.dt, c.model_id, c.model_version, c.deployment) as alert_count
    from current_versions as c
    inner join day_alerts as a
        on c.dt = a.dt
        and coalesce(a.model_id, c.model_id) = c.model_id
        and coalesce(a.model_version, c.model_version) = c.model_version
        and coalesce(a.deployment, c.deployment) = c.deployment
        and a.state <> 'resolved'
    inner join day_incidents as i on a.dt = i.dt and a.incident_id = i.incident_id
),

decisive as (
    select *
    from findings
    qualify row_number() over (
        partition by dt, model_id, model_version, deployment
        -- broken data comes first, because the performance on broken data does not judge the model
        order by verdict_place(verdict), weight desc, since_on, incident_id
    ) = 1
),

tested as (
    select *
    from performance
    where basis = 'combined' and tolerance is not null and baseline_value is not null
    qualify row_number() over (
        partition by dt, model_id, model_version, deployment
        order by coalesce(loss_evidence, 0) desc, statistic
    ) = 1
)

select
    c.dt,
    c.model_id,
    c.model_version,
    c.deployment,
    coalesce(f.verdict, 'well') as verdict,
    if(f.verdict = 'harmed', coalesce(p.loss_since_on, f.since_on), f.since_on) as since_on,
    p.statistic,
    p.value,
    p.confidence_low,
    p.confidence_high,
    p.baseline_value,
    p.tolerance,
    p.loss_evidence,
    p.detectable_loss,
    f.incident_id,
    f.title,
    coalesce(f.alert_count, 0)::bigint as alert_count,
    p.window_days
from current_versions as c
left join decisive as f
    on c.dt = f.dt
    and c.model_id = f.model_id
    and c.model_version = f.model_version
    and c.deployment = f.deployment
left join tested as p
    on c.dt = p.dt
    and c.model_id = p.model_id
    and c.model_version = p.model_version
    and c.deployment = p.deployment
order by c.dt, c.model_id, c.model_version, c.deployment;
