-- Labels per score bin of every window, as they were known at the end of its last day.
-- grain: dt, window_days, model_id, model_version, deployment, segment, bin_id
-- inputs: label_cohorts
-- parameters: $first_day, $last_day, $windows_days
select
    w.dt,
    w.window_days,
    c.model_id,
    c.model_version,
    c.deployment,
    c.segment,
    c.bin_id,
    sum(c.positive_count)::bigint as positive_count,
    sum(c.negative_count)::bigint as negative_count,
    -- decimals, because a sum of floats depends on the order of the rows and a rerun must give the same
    sum(try_cast(c.score_sum as decimal(32, 15)))::double as score_sum,
    sum(c.log_loss_sum::decimal(38, 15))::double as log_loss_sum,
    sum(try_cast(c.squared_error_sum as decimal(38, 10)))::double as squared_error_sum,
    sum(c.true_positive_count)::bigint as true_positive_count,
    sum(c.false_positive_count)::bigint as false_positive_count,
    coalesce(sum(c.number_count), 0)::bigint as number_count,
    sum(try_cast(c.error_sum as decimal(38, 10)))::double as error_sum,
    sum(try_cast(c.absolute_error_sum as decimal(38, 10)))::double as absolute_error_sum,
    sum(try_cast(c.quantile_loss_sum as decimal(38, 10)))::double as quantile_loss_sum
from windows_of($first_day, $last_day, $windows_days) as w
inner join label_cohorts as c
    on c.prediction_on > w.dt - w.window_days
    and c.prediction_on <= w.dt
    and c.dt <= w.dt
group by w.dt, w.window_days, c.model_id, c.model_version, c.deployment, c.segment, c.bin_id
order by w.dt, w.window_days, c.model_id, c.model_version, c.deployment, c.segment, c.bin_id;
