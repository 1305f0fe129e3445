-- Rows, files, bytes of the files and the newest day of each table, from DuckLake's statistics, which deletes do not change.
-- had_rows: whether rows were ever inserted; newest_day is null if the table has no column dt, or never had rows
-- grain: table_name
-- inputs: ducklake_table, ducklake_column, ducklake_table_stats, ducklake_table_column_stats, ducklake_data_file
with files as (
    select
        table_id,
        count(*) as file_count,
        sum(file_size_bytes) as byte_count
    from __ducklake_metadata_lake.ducklake_data_file
    where end_snapshot is null
    group by table_id
),

days as (
    select
        c.table_id,
        try_cast(s.max_value as date) as newest_day
    from __ducklake_metadata_lake.ducklake_column as c
    inner join __ducklake_metadata_lake.ducklake_table_column_stats as s
        on c.table_id = s.table_id and c.column_id = s.column_id
    where c.column_name = 'dt' and c.end_snapshot is null
)

select
    t.table_name,
    coalesce(r.record_count, 0)::bigint as row_count,
    coalesce(r.next_row_id, 1) > 0 as had_rows,
    coalesce(f.file_count, 0)::bigint as file_count,
    coalesce(f.byte_count, 0)::bigint as byte_count,
    d.newest_day
from __ducklake_metadata_lake.ducklake_table as t
left join __ducklake_metadata_lake.ducklake_table_stats as r
    on t.table_id = r.table_id
left join files as f
    on t.table_id = f.table_id
left join days as d
    on t.table_id = d.table_id
where t.end_snapshot is null;
