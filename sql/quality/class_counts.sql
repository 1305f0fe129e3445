-- Labels by predicted class and class of every window, as they were known at the end of its last day.
-- grain: dt, window_days, model_id, model_version, deployment, segment, predicted_class, label_class
-- inputs: class_cohorts
-- parameters: $first_day, $last_day, $windows_days
select
    w.dt,
    w.window_days,
    c.model_id,
    c.model_version,
    c.deployment,
    c.segment,
    c.predicted_class,
    c.label_class,
    sum(c.row_count)::bigint as row_count
from windows_of($first_day, $last_day, $windows_days) as w
inner join class_cohorts as c
    on c.prediction_on > w.dt - w.window_days
    and c.prediction_on <= w.dt
    and c.dt <= w.dt
group by w.dt, w.window_days, c.model_id, c.model_version, c.deployment, c.segment, c.predicted_class, c.label_class
order by w.dt, w.window_days, c.model_id, c.model_version, c.deployment, c.segment, c.predicted_class, c.label_class;
