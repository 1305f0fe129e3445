-- Signals of changed columns: how many were added, lost, retyped or reordered at once; one row for each of them. A feature concerns the
-- versions that have it and predicted on the day, any other column all models.
-- grain: dt, signal, model_id, model_version, deployment, segment, feature, window_days, reference
-- inputs: schema_changes, column_owners
with changes as (
    select
        c.dt,
        coalesce(c.model_id, o.model_id) as model_id,
        coalesce(c.model_version, o.model_version) as model_version,
        c.change,
        c.column_name,
        c.row_count,
        c.message
    from schema_changes as c
    left join column_owners as o on c.model_id is null and c.dt = o.dt and c.column_name = o.column_name
    where coalesce(o.has_predicted, true)
)

select
    dt,
    'schema_changes.' || change as signal,
    model_id,
    model_version,
    null::varchar as deployment,
    null::varchar as segment,
    -- a row per column, so that the alert of each column says since when
    column_name as feature,
    1 as window_days,
    null::varchar as reference,
    (count(*) over (partition by dt, model_id, model_version, change))::double as value,
    max(row_count) as sample_count,
    null::double as noise_floor,
    min(message) as detail
from changes
group by dt, model_id, model_version, change, column_name;
