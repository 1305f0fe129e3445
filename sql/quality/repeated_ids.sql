-- Windows in which correlation ids repeat so often that labels may be about other predictions.
-- grain: dt, window_days
-- inputs: contract_checks
-- parameters: $first_day, $last_day, $windows_days; $smallest_share, of predictions or labels, below which a window has no row
with daily as (
    select
        dt,
        sum(unexpected_count) filter (where expectation = 'prediction_is_unique') as repeated_predictions,
        sum(checked_count) filter (where expectation = 'prediction_is_unique') as predictions,
        sum(unexpected_count) filter (where expectation <> 'prediction_is_unique') as ambiguous_labels,
        sum(checked_count) filter (where expectation <> 'prediction_is_unique') as labels
    from contract_checks
    where expectation in ('prediction_is_unique', 'correlation_id_is_unique_within_the_horizon')
        and dt > $first_day::date - list_max($windows_days::integer[])
        and dt <= $last_day
    group by dt
),

shares as (
    select
        w.dt,
        w.window_days,
        coalesce(sum(d.repeated_predictions) / nullif(sum(d.predictions), 0), 0) as repeated_prediction_share,
        coalesce(sum(d.ambiguous_labels) / nullif(sum(d.labels), 0), 0) as ambiguous_label_share
    from windows_of($first_day, $last_day, $windows_days) as w
    inner join daily as d on d.dt > w.dt - w.window_days and d.dt <= w.dt
    group by w.dt, w.window_days
)

select
    dt,
    window_days,
    repeated_prediction_share,
    ambiguous_label_share
from shares
where greatest(repeated_prediction_share, ambiguous_label_share) >= $smallest_share
order by dt, window_days;
