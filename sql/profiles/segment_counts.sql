-- Numbers of rows by value of a segment column and day.
-- grain: dt, value
-- inputs: segment_column (view of predictions: dt, value)
select
    dt,
    value,
    count(*) as row_count
from segment_column
where value is not null
group by dt, value;
