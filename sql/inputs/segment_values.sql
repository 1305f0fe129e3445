-- The most frequent values of a segment column on a day, which become segments.
-- grain: dt, value
-- inputs: segment_column (view of predictions: dt, value)
-- parameters: $value_count, number of values
with counted as (
    select
        dt,
        value,
        count(*) as row_count
    from segment_column
    where value is not null
    group by dt, value
)

select
    dt,
    value
from counted
qualify row_number() over (partition by dt order by row_count desc, value) <= $value_count
order by dt, value;
