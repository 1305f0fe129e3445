-- Predictions per predicted class of every window of a version with classes on its last day.
-- grain: dt, window_days, model_id, model_version, deployment, segment, predicted_class
-- inputs: class_profile
-- parameters: $first_day, $last_day, $windows_days
with summed as (
    select
        w.dt,
        w.window_days,
        c.model_id,
        c.model_version,
        c.deployment,
        c.segment,
        c.predicted_class,
        sum(c.row_count)::bigint as row_count,
        max(c.dt) as last_on
    from windows_of($first_day, $last_day, $windows_days) as w
    inner join class_profile as c on c.dt > w.dt - w.window_days and c.dt <= w.dt
    group by w.dt, w.window_days, c.model_id, c.model_version, c.deployment, c.segment, c.predicted_class
)

select
    dt,
    window_days,
    model_id,
    model_version,
    deployment,
    segment,
    predicted_class,
    row_count,
    sum(row_count) over whole::bigint as total_count
from summed
window whole as (partition by dt, window_days, model_id, model_version, deployment, segment)
qualify max(last_on) over whole = dt
order by dt, window_days, model_id, model_version, deployment, segment, predicted_class;
