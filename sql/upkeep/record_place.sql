-- Sets the folder of the data files in the catalog.
-- grain: one row
-- inputs: ducklake_metadata
-- parameters: $place, the folder with a slash at its end
update __ducklake_metadata_lake.ducklake_metadata
set value = $place
where key = 'data_path' and scope is null;
