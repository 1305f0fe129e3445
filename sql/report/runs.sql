-- The run in force of every stage of a day: what the page was made from.
-- grain: stage
-- inputs: partition_runs
-- parameters: $day
select
    stage,
    run_id,
    outcome,
    reason,
    row_count,
    code_version,
    config_hash,
    snapshot_id
from partition_runs
where dt = $day
qualify row_number() over (partition by stage order by committed_at desc, snapshot_id desc) = 1
order by snapshot_id, stage;
