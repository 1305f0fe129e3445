-- Numbers of columns of telemetry that changed on each day, in any comparison; days without a change are left out.
-- grain: dt
-- inputs: schema_changes
-- parameters: $first_day, $last_day
select
    dt,
    count(distinct column_name) as changed_columns
from schema_changes
where dt between $first_day and $last_day
group by dt;
