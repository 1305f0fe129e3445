-- The run in force of every stage of a day.
-- grain: stage
-- inputs: current_runs
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
from current_runs
where dt = $day
order by snapshot_id, stage;
