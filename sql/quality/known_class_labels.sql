-- Labels of multiclass models per scored class and bin that became final on each day, whatever the deployment: what the scores of classes have meant.
-- grain: dt, model_id, model_version, scored_class, bin_id
-- inputs: class_score_cohorts, training_runs
-- parameters: $first_day, $last_day; $is_latest, whether the newest label counts rather than the first; $horizon_days
-- nulls: predictions of the class were not counted apart before the columns existed, which is no count
with final_labels as (
    select
        c.model_id,
        c.model_version,
        c.scored_class,
        c.bin_id,
        c.positive_count,
        c.negative_count,
        c.right_count,
        c.wrong_count,
        final_on(c.dt, c.prediction_on, $is_latest, t.label_delay_max_days, $horizon_days) as final_on
    from class_score_cohorts as c
    left join training_runs as t on c.model_id = t.model_id and c.model_version = t.model_version
    where
        c.segment = 'all'
        and c.dt >= $first_day::date - if($is_latest, $horizon_days, 0)
        and c.dt <= $last_day
)

select
    final_on as dt,
    model_id,
    model_version,
    scored_class,
    bin_id,
    sum(positive_count)::bigint as positive_count,
    sum(negative_count)::bigint as negative_count,
    coalesce(sum(right_count), 0)::bigint as right_count,
    coalesce(sum(wrong_count), 0)::bigint as wrong_count
from final_labels
where final_on between $first_day and $last_day
group by final_on, model_id, model_version, scored_class, bin_id
order by final_on, model_id, model_version, scored_class, bin_id;
