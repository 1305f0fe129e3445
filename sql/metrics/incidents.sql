-- Numbers of open incidents on each day with telemetry, as of the last day up to it whose rules were evaluated.
-- grain: dt, model_id, severity, kind, pages
-- inputs: current_runs, incidents
-- parameters: $first_day, $last_day
with evaluated as (
    select
        d.dt,
        max(a.dt) as evaluated_on
    from current_runs as d
    inner join current_runs as a on a.dt <= d.dt
    where
        d.stage = 'profiles'
        and d.outcome <> 'missing'
        and d.dt between $first_day and $last_day
        and a.stage = 'alerts'
        and a.outcome <> 'failed'
    group by d.dt
)

select
    e.dt,
    coalesce(i.model_id, '') as model_id,
    i.severity,
    coalesce(i.kind, '') as kind,
    -- incidents of earlier releases all paged
    if(coalesce(i.pages, true), 'true', 'false') as pages,
    count(*) as incident_count
from evaluated as e
inner join incidents as i on e.evaluated_on = i.dt
where i.state <> 'resolved'
group by all
order by model_id, i.severity, kind, pages, e.dt;
