-- Tables of the catalog in which DuckLake keeps the rows of small inserts instead of files.
-- grain: table_name
-- inputs: ducklake_inlined_data_tables
select table_name
from __ducklake_metadata_lake.ducklake_inlined_data_tables
order by table_name;
