-- Version of DuckLake's format that the catalog has.
-- grain: one row
-- inputs: ducklake_metadata
select value
from __ducklake_metadata_lake.ducklake_metadata
where key = 'version' and scope is null;
