-- Predictions per score bin of every window.
-- grain: dt, window_days, model_id, model_version, deployment, segment, bin_id
-- inputs: prediction_profile
-- parameters: $first_day, $last_day, $windows_days
select
    w.dt,
    w.window_days,
    p.model_id,
    p.model_version,
    p.deployment,
    p.segment,
    p.bin_id,
    sum(p.row_count)::bigint as row_count,
    -- decimals, because a sum of floats depends on the order of the rows and a rerun must give the same
    sum(try_cast(p.score_sum as decimal(32, 15)))::double as score_sum
from windows_of($first_day, $last_day, $windows_days) as w
inner join prediction_profile as p on p.dt > w.dt - w.window_days and p.dt <= w.dt
where p.dt > $first_day::date - list_max($windows_days::integer[]) and p.dt <= $last_day
group by w.dt, w.window_days, p.model_id, p.model_version, p.deployment, p.segment, p.bin_id
order by w.dt, w.window_days, p.model_id, p.model_version, p.deployment, p.segment, p.bin_id;
