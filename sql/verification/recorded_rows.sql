-- Rows that each day has in each table according to the runs that wrote them.
-- grain: dt, stage, name
-- inputs: partition_runs
-- parameters: $days, null for every day
-- For each table, the newest run that replaced rows in it is in force.
with written as (
    select
        dt,
        stage,
        committed_at,
        snapshot_id,
        -- table, or table/source
        unnest(map_keys(stored_rows)) as name,
        unnest(map_values(stored_rows)) as row_count
    from partition_runs
    where $days::date[] is null or list_contains($days::date[], dt)
)

select
    dt,
    stage,
    name,
    row_count
from written
qualify row_number() over (partition by dt, stage, name order by snapshot_id desc, committed_at desc) = 1
order by dt, stage, name;
