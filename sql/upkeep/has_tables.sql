-- Whether the warehouse has tables: a catalog that was just created has none.
-- grain: one row
-- inputs: duckdb_tables
select count(*) > 0 as has_tables
from duckdb_tables()
where database_name = 'lake';
