-- Outcome of the inputs of each day when they were last counted, and their files.
-- grain: dt
-- inputs: current_runs, current_input_files
-- parameters: $stage and the $source that it counts, $days
select
    r.dt,
    r.outcome,
    r.reason,
    list({'path': f.path, 'content_fingerprint': f.content_fingerprint}) as files
from current_runs as r
inner join current_input_files as f
    on r.dt = f.dt
where
    r.stage = $stage
    and f.source = $source
    and list_contains($days::date[], r.dt)
group by r.dt, r.outcome, r.reason;
