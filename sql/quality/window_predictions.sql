-- Predictions of every window of every registered version that predicted in it.
-- grain: dt, window_days, model_id, model_version, deployment, segment
-- inputs: prediction_profile, training_runs
-- parameters: $first_day, $last_day, $windows_days
with daily as (
    select
        dt,
        model_id,
        model_version,
        deployment,
        segment,
        sum(row_count) as row_count
    from prediction_profile
    where dt > $first_day::date - list_max($windows_days::integer[]) and dt <= $last_day
    group by dt, model_id, model_version, deployment, segment
)

select
    w.dt,
    w.window_days,
    d.model_id,
    d.model_version,
    d.deployment,
    d.segment,
    bool_or(d.dt = w.dt) as has_predictions_on_last_day,
    count(*)::bigint as day_count,
    sum(d.row_count)::bigint as prediction_count
from windows_of($first_day, $last_day, $windows_days) as w
inner join daily as d on d.dt > w.dt - w.window_days and d.dt <= w.dt
semi join training_runs as t on d.model_id = t.model_id and d.model_version = t.model_version
group by w.dt, w.window_days, d.model_id, d.model_version, d.deployment, d.segment
order by w.dt, w.window_days, d.model_id, d.model_version, d.deployment, d.segment;
