-- Labels per class and bin of its score of every window, as they were known at the end of its last day.
-- grain: dt, window_days, model_id, model_version, deployment, segment, scored_class, bin_id
-- inputs: class_score_cohorts
-- parameters: $first_day, $last_day, $windows_days
select
    w.dt,
    w.window_days,
    c.model_id,
    c.model_version,
    c.deployment,
    c.segment,
    c.scored_class,
    c.bin_id,
    sum(c.positive_count)::bigint as positive_count,
    sum(c.negative_count)::bigint as negative_count
from windows_of($first_day, $last_day, $windows_days) as w
inner join class_score_cohorts as c
    on c.prediction_on > w.dt - w.window_days
    and c.prediction_on <= w.dt
    and c.dt <= w.dt
group by w.dt, w.window_days, c.model_id, c.model_version, c.deployment, c.segment, c.scored_class, c.bin_id
order by w.dt, w.window_days, c.model_id, c.model_version, c.deployment, c.segment, c.scored_class, c.bin_id;
