-- Whether all input of a stage was counted, day by day.
-- grain: dt, stage
-- inputs: current_runs
-- parameters: $first_day, $last_day
select
    dt,
    stage,
    (outcome in ('complete', 'empty'))::integer as is_complete
from current_runs
where dt between $first_day and $last_day
order by stage, dt;
