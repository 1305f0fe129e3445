-- Tables with several small files, which are read faster as one.
-- grain: table_name
-- inputs: ducklake_data_file, ducklake_delete_file, ducklake_table
-- parameters: $largest_bytes, a file of this size is large enough
-- A file some of whose rows were deleted cannot be merged.
with small as (
    select
        f.table_id,
        count(*) as file_count
    from __ducklake_metadata_lake.ducklake_data_file as f
    anti join __ducklake_metadata_lake.ducklake_delete_file as d
        on f.data_file_id = d.data_file_id
    where f.end_snapshot is null and f.file_size_bytes < $largest_bytes
    group by f.table_id
)

select
    t.table_name,
    s.file_count
from small as s
inner join __ducklake_metadata_lake.ducklake_table as t
    on s.table_id = t.table_id and t.end_snapshot is null
where s.file_count > 1
order by t.table_name;
