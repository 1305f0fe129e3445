-- The snapshot in which the rows of each day of a stage were written last.
-- grain: dt, stage
-- inputs: partition_runs
select
    dt,
    stage,
    snapshot_id
from partition_runs
-- a run that failed or was refused kept the rows of an earlier run
where outcome in ('complete', 'partial', 'empty')
qualify row_number() over (partition by dt, stage order by snapshot_id desc, committed_at desc) = 1
order by dt, stage;
