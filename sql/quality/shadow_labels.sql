-- Labels of paired scores of every window, as they were known at the end of its last day: the occupied bins of each prediction day as lists.
-- grain: dt, window_days, model_id, model_version, deployment, production_version
-- inputs: shadow_cohorts
-- parameters: $first_day, $last_day, $windows_days
with summed as (
    select
        w.dt,
        w.window_days,
        c.model_id,
        c.model_version,
        c.deployment,
        c.production_version,
        c.prediction_on,
        c.bin_id,
        c.production_bin_id,
        sum(c.positive_count)::bigint as positive_count,
        sum(c.negative_count)::bigint as negative_count
    from windows_of($first_day, $last_day, $windows_days) as w
    inner join shadow_cohorts as c
        on c.prediction_on > w.dt - w.window_days
        and c.prediction_on <= w.dt
        and c.dt <= w.dt
    group by
        w.dt,
        w.window_days,
        c.model_id,
        c.model_version,
        c.deployment,
        c.production_version,
        c.prediction_on,
        c.bin_id,
        c.production_bin_id
)

select
    dt,
    window_days,
    model_id,
    model_version,
    deployment,
    production_version,
    list(dt - prediction_on order by prediction_on, bin_id, production_bin_id) as ages,
    list(bin_id order by prediction_on, bin_id, production_bin_id) as bin_ids,
    list(production_bin_id order by prediction_on, bin_id, production_bin_id) as production_bin_ids,
    list(positive_count order by prediction_on, bin_id, production_bin_id) as positive_counts,
    list(negative_count order by prediction_on, bin_id, production_bin_id) as negative_counts
from summed
group by dt, window_days, model_id, model_version, deployment, production_version
order by dt, window_days, model_id, model_version, deployment, production_version;
