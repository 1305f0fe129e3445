-- Evidence: columns that were lost or changed their type, and had not in the week before.
-- grain: incident_id, subject, known_on
-- inputs: incident_alerts, schema_changes
with changes as (
    select distinct
        s.incident_id,
        s.opened_on,
        s.first_on,
        s.feature,
        c.dt,
        c.column_name,
        c.message,
        min(c.dt) over (
            partition by s.incident_id, c.comparison, c.model_id, c.model_version, c.column_name, c.change
        ) as changed_on
    from incident_alerts as s
    inner join schema_changes as c
        on (c.model_id is null or s.model_id is null or s.model_id = c.model_id)
        and (c.model_version is null or s.model_version is null or s.model_version = c.model_version)
    where c.change in ('lost', 'retyped') and c.dt between s.first_on - 7 and s.until_on
)

select
    incident_id,
    column_name as subject,
    greatest(dt, opened_on) as known_on,
    -- the change of a column explains alerts about that column
    if(feature = column_name or ends_with(column_name, '.' || feature), 1, 0.7)::double as strength,
    message
from changes
where
    dt = changed_on
    and dt >= first_on
    and (
        feature is null
        or feature = column_name
        -- a check of the column
        or ends_with(feature, '.' || column_name)
        or ends_with(column_name, '.' || feature)
    );
