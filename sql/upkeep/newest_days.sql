-- The newest day that each table ever held, from DuckLake's statistics, which deletes do not change; null without statistics.
-- grain: table_name
-- inputs: ducklake_table, ducklake_column, ducklake_table_column_stats, ducklake_snapshot
select
    t.table_name,
    try_cast(s.max_value as date) as newest_day,
    (select max(snapshot_id) from __ducklake_metadata_lake.ducklake_snapshot) as snapshot_id
from __ducklake_metadata_lake.ducklake_table as t
inner join __ducklake_metadata_lake.ducklake_column as c
    on t.table_id = c.table_id
left join __ducklake_metadata_lake.ducklake_table_column_stats as s
    on c.table_id = s.table_id and c.column_id = s.column_id
where
    c.column_name = 'dt'
    and c.end_snapshot is null
    and t.end_snapshot is null;
