-- Which run is the current one for each day and stage? The newest of partition_runs.
create or replace view current_runs as
select *
from partition_runs
qualify row_number() over (partition by dt, stage order by snapshot_id desc, committed_at desc) = 1;
