-- Size of the DuckLake, from the tables of its catalog.
-- grain: one row
-- inputs: ducklake_data_file, ducklake_delete_file, ducklake_snapshot, ducklake_files_scheduled_for_deletion
with files as (
    select
        end_snapshot,
        file_size_bytes
    from __ducklake_metadata_lake.ducklake_data_file

    union all

    select
        end_snapshot,
        file_size_bytes
    from __ducklake_metadata_lake.ducklake_delete_file
),

snapshots as (
    select count(*) as snapshot_count
    from __ducklake_metadata_lake.ducklake_snapshot
),

waiting as (
    select count(*) as waiting_file_count
    from __ducklake_metadata_lake.ducklake_files_scheduled_for_deletion
)

select
    -- files that the newest snapshot needs
    count(*) filter (where f.end_snapshot is null) as current_file_count,
    -- files that any snapshot needs
    count(*) as file_count,
    coalesce(sum(f.file_size_bytes), 0)::bigint as byte_count,
    any_value(s.snapshot_count) as snapshot_count,
    -- files that no snapshot needs any more
    any_value(w.waiting_file_count) as waiting_file_count
from snapshots as s
cross join waiting as w
left join files as f
    on true;
