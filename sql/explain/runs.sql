-- Runs that wrote the rows of some days: for each day the newest run that was not refused, up to a snapshot.
-- grain: dt, stage
-- inputs: wanted (stage, dt, snapshot_id), partition_runs
-- parameters: $with_refused, for tables that are written whatever the outcome of the day
select
    r.dt,
    r.stage,
    r.run_id,
    r.outcome,
    r.reason,
    r.started_at,
    r.committed_at,
    r.code_version,
    r.config_hash,
    r.input_fingerprint,
    r.snapshot_id
from wanted as w
inner join partition_runs as r
    on w.stage = r.stage and w.dt = r.dt and r.snapshot_id <= w.snapshot_id
where $with_refused or r.outcome not in ('refused', 'missing')
qualify row_number() over (partition by r.stage, r.dt order by r.snapshot_id desc, r.committed_at desc) = 1
order by r.stage, r.dt;
