-- Small files of each table that are to be merged into one.
-- grain: table_name
-- inputs: ducklake_data_file, ducklake_table
-- parameters: $largest_bytes, a file of this size is large enough
-- A file is taken only if the smaller ones together are at least as large. Its rows are then in a file of at least
-- twice the size, so a row is rewritten only as often as its file can double.
with small as (
    select
        table_id,
        path,
        file_size_bytes,
        row_number() over by_size as position,
        sum(file_size_bytes) over (by_size rows between unbounded preceding and 1 preceding) as smaller_bytes
    from __ducklake_metadata_lake.ducklake_data_file
    where end_snapshot is null and file_size_bytes < $largest_bytes
    window by_size as (partition by table_id order by file_size_bytes, data_file_id)
),

largest as (
    select
        table_id,
        max(position) as position
    from small
    where file_size_bytes <= smaller_bytes
    group by table_id
)

select
    t.table_name,
    -- unique over all tables, whatever the folder
    list(parse_filename(s.path)) as file_names
from small as s
inner join largest as l
    on s.table_id = l.table_id and s.position <= l.position
inner join __ducklake_metadata_lake.ducklake_table as t
    on s.table_id = t.table_id and t.end_snapshot is null
group by t.table_name
order by t.table_name;
