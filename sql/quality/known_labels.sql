-- Labels per score bin that became final on each day, by the day of their predictions, whatever the deployment: what scores have meant.
-- grain: dt, prediction_on, model_id, model_version, bin_id
-- inputs: label_cohorts, training_runs
-- parameters: $first_day, $last_day; $is_latest, whether the newest label counts rather than the first; $horizon_days
-- counts may be negative: a correction takes back what may have become final before the days looked at
with final_labels as (
    select
        c.prediction_on,
        c.model_id,
        c.model_version,
        c.bin_id,
        c.positive_count,
        c.negative_count,
        final_on(c.dt, c.prediction_on, $is_latest, t.label_delay_max_days, $horizon_days) as final_on
    from label_cohorts as c
    left join training_runs as t on c.model_id = t.model_id and c.model_version = t.model_version
    where
        c.segment = 'all'
        and c.dt >= $first_day::date - if($is_latest, $horizon_days, 0)
        and c.dt <= $last_day
)

select
    final_on as dt,
    prediction_on,
    model_id,
    model_version,
    bin_id,
    sum(positive_count)::bigint as positive_count,
    sum(negative_count)::bigint as negative_count
from final_labels
where final_on between $first_day and $last_day
group by final_on, prediction_on, model_id, model_version, bin_id
order by final_on, prediction_on, model_id, model_version, bin_id;
