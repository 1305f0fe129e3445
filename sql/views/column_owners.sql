-- Which model versions have a changed or failing column of telemetry as a feature, and did they predict on the day?
create or replace view column_owners as
with reported_columns as (
    select
        dt,
        column_name
    from schema_changes
    where model_id is null
    union
    select
        dt,
        column_name
    from contract_checks
    where outcome = 'failed' and source = 'telemetry' and model_id is null and column_name is not null
),

features as (
    select distinct
        model_id,
        model_version,
        feature
    from feature_bins
),

predicted as (
    select distinct
        dt,
        model_id,
        model_version
    from prediction_volume
)

select
    c.dt,
    c.column_name,
    f.model_id,
    f.model_version,
    p.dt is not null as has_predicted
from reported_columns as c
-- a field of a struct is called column.field
inner join features as f on c.column_name = f.feature or ends_with(c.column_name, '.' || f.feature)
left join predicted as p on c.dt = p.dt and f.model_id = p.model_id and f.model_version = p.model_version;
