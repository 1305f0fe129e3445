-- Rows of all tables by DuckLake's statistics: deleted rows count until their files are rewritten.
-- grain: one row
-- inputs: ducklake_table_stats
select coalesce(sum(record_count), 0)::bigint as row_count
from __ducklake_metadata_lake.ducklake_table_stats;
