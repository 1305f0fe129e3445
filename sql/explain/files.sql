-- Input files of some days as they were recorded up to a snapshot.
-- grain: source, dt, path
-- inputs: wanted (source, dt, snapshot_id), input_files
-- nulls: rows from before the history of files are older than every snapshot
select *
from (
    select f.*
    from wanted as w
    inner join input_files as f
        on w.source = f.source and w.dt = f.dt and coalesce(f.snapshot_id, 0) <= w.snapshot_id
    qualify row_number() over (partition by f.source, f.dt, f.path order by f.snapshot_id desc nulls last) = 1
) as newest
where outcome <> 'removed'
order by source, dt, path;
