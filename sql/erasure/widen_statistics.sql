-- Widens the minimum and maximum that the catalog keeps for a text column, if one of them contains the id.
-- grain: table_id, column_id
-- inputs: ducklake_table_column_stats, ducklake_column
-- parameters: $forms and $pattern of the id
-- DuckLake never narrows these bounds when rows are deleted. A wider bound excludes no row.
update __ducklake_metadata_lake.ducklake_table_column_stats
set
    min_value = case
        when list_contains($forms, substr(min_value, strpos(min_value, '=') + 1)) or regexp_matches(min_value, $pattern) then ''
        else min_value
    end,
    max_value = case
        when list_contains($forms, substr(max_value, strpos(max_value, '=') + 1)) or regexp_matches(max_value, $pattern) then chr(1114111)
        else max_value
    end
where
    (table_id, column_id) in (
        select (table_id, column_id)
        from __ducklake_metadata_lake.ducklake_column
        where column_type = 'varchar'
    )
    and (
        list_contains($forms, substr(min_value, strpos(min_value, '=') + 1))
        or regexp_matches(min_value, $pattern)
        or list_contains($forms, substr(max_value, strpos(max_value, '=') + 1))
        or regexp_matches(max_value, $pattern)
    );
