-- New rows of input_files: versions of files that differ from the current ones, and files that no longer exist.
-- grain: dt, source, path
-- inputs: new_rows (the files found), current_input_files
-- parameters: $source, the checked $days, and what to record: $run_id, $seen_at, $snapshot_id
-- nulls: an unrecorded time of modification differs from a known one
with known as (
    select * exclude (seen_at, run_id, snapshot_id)
    from current_input_files
    where source = $source and list_contains($days::date[], dt)
),

-- most versions of a table do not change a given file
different as (
    select * exclude (table_version)
    from new_rows
    except
    select * exclude (table_version)
    from known
),

changed as (
    select n.*
    from new_rows as n
    semi join different as d on n.dt = d.dt and n.path = d.path
),

gone as (
    select k.* replace ('removed' as outcome, null as reason)
    from known as k
    anti join new_rows as n on k.dt = n.dt and k.path = n.path
)

select
    *,
    $seen_at::timestamp with time zone as seen_at,
    $run_id::varchar as run_id,
    $snapshot_id::bigint as snapshot_id
from (
    from changed
    union all by name
    from gone
) as missing;
