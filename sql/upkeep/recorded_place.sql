-- Folder or prefix of the data files according to the catalog, and one current file in it.
-- grain: one row
-- inputs: ducklake_metadata, ducklake_data_file, ducklake_table, ducklake_schema
-- nulls: file_name is null if no table has a file
select
    (
        select value
        from __ducklake_metadata_lake.ducklake_metadata
        where key = 'data_path' and scope is null
    ) as place,
    (
        select s.path || t.path || f.path
        from __ducklake_metadata_lake.ducklake_data_file as f
        inner join __ducklake_metadata_lake.ducklake_table as t on f.table_id = t.table_id and t.end_snapshot is null
        inner join __ducklake_metadata_lake.ducklake_schema as s on t.schema_id = s.schema_id
        where f.end_snapshot is null and f.path_is_relative and t.path_is_relative and s.path_is_relative
        order by f.data_file_id desc
        limit 1
    ) as file_name;
