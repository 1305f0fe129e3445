-- Tables for which DuckLake keeps statistics: those that have ever had a row.
-- grain: table_name
-- inputs: ducklake_table, ducklake_table_stats
select t.table_name
from __ducklake_metadata_lake.ducklake_table as t
inner join __ducklake_metadata_lake.ducklake_table_stats as s
    on t.table_id = s.table_id
where t.end_snapshot is null;
