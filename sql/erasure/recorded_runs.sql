-- The current run of each day from which rows were erased, with the counts of the remaining rows.
-- grain: dt, stage
-- inputs: current_runs, partition_runs, rows_left (dt, name, row_count)
-- parameters: $run_id; $committed_at, later than the run's
-- The snapshot stays that of the run: with a new one, later stages would read the inputs again.
with recorded as (
    select distinct
        dt,
        stage,
        unnest(map_keys(stored_rows)) as name
    from partition_runs
),

left_over as (
    select
        r.dt,
        r.stage,
        map(list(r.name), list(l.row_count)) as stored_rows
    from rows_left as l
    inner join recorded as r on l.dt = r.dt and l.name = r.name
    group by r.dt, r.stage
)

select
    c.* replace (
        $run_id as run_id,
        $committed_at::timestamp with time zone as committed_at,
        l.stored_rows as stored_rows
    )
from current_runs as c
inner join left_over as l on c.dt = l.dt and c.stage = l.stage;
