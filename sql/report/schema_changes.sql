-- Changes of the columns of telemetry on a day.
-- grain: comparison, model_id, model_version, column_name, change, expected, found
-- inputs: schema_changes
-- parameters: $day
select
    model_id,
    comparison,
    change,
    column_name,
    message,
    row_count
from schema_changes
where dt = $day
order by comparison, model_id, model_version, change, column_name, expected, found;
