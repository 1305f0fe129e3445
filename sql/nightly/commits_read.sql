-- What each day reads of other stages: how often each was written, and the newest commit. Any commit changes one of them.
-- grain: stage, dt
-- inputs: partition_runs
-- parameters: $stages, $reaches_days, on how many days before its own the day looks at each of them, $days
select
    s.stage,
    d.dt,
    -- an erasure records a commit again
    count(distinct row(r.dt, r.snapshot_id)) filter (where r.dt is not null) as commit_count,
    max(r.snapshot_id) as newest_snapshot_id
from (select unnest($days::date[]) as dt) as d
cross join (
    select
        unnest($stages::varchar[]) as stage,
        unnest($reaches_days::integer[]) as reach_days
) as s
left join partition_runs as r
    on
        s.stage = r.stage
        and r.dt between d.dt - s.reach_days and d.dt
group by s.stage, d.dt;
