-- The commits of another stage that each day reads: their number and the newest. Every commit changes one of these.
-- grain: dt
-- inputs: partition_runs
-- parameters: $stage, $days, $reach_days, how many days before its own the day reads
select
    d.dt,
    count(r.dt) as commit_count,
    max(r.snapshot_id) as newest_snapshot_id
from (select unnest($days::date[]) as dt) as d
left join partition_runs as r
    on r.stage = $stage
    and r.dt between d.dt - $reach_days::integer and d.dt
group by d.dt;
