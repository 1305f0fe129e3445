-- Signals of changed columns: how many were added, lost, retyped or reordered at once; one row for each of them.
-- grain: dt, signal, model_id, model_version, deployment, segment, feature, window_days, reference
-- inputs: schema_changes
select
    dt,
    'schema_changes.' || change as signal,
    model_id,
    model_version,
    null as deployment,
    null as segment,
    -- a row per column, so that the alert of each column says since when
    column_name as feature,
    1 as window_days,
    null as reference,
    count(*) over (partition by dt, model_id, model_version, change) as value,
    max(row_count) as sample_count,
    null as noise_floor,
    min(message) as detail
from schema_changes
group by dt, model_id, model_version, change, column_name;
