-- Rows of all tables, as DuckLake keeps count of them: rows that were deleted count until their files are rewritten.
-- grain: one row
-- inputs: ducklake_table_stats
select coalesce(sum(record_count), 0)::bigint as row_count
from __ducklake_metadata_lake.ducklake_table_stats;
