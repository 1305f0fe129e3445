-- Rows of heavy_hitters: the most frequent values of a day, counted exactly.
-- grain: dt, model_id, model_version, deployment, segment, column_name, value
-- inputs: value_counts
-- parameters: $value_limit, largest number of values
with ranked as (
    select
        dt,
        model_id,
        model_version,
        deployment,
        segment,
        column_name,
        value,
        row_count,
        row_count / sum(row_count) over of_column as share,
        row_number() over (of_column order by row_count desc, value) as rank
    from value_counts
    where value is not null
    window of_column as (partition by dt, model_id, model_version, deployment, segment, column_name)
)

select
    dt,
    model_id,
    model_version,
    deployment,
    segment,
    column_name,
    value,
    row_count,
    share,
    rank::integer as rank
from ranked
where rank <= $value_limit
order by dt, model_id, model_version, deployment, segment, column_name, rank;
