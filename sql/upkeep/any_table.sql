-- A table of the warehouse, if there is any: a catalog that was just created has none.
-- grain: at most one row
-- inputs: duckdb_tables
select table_name
from duckdb_tables()
where database_name = 'lake'
limit 1;
