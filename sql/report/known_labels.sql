-- Labels known now by prediction day and score bin, the days and bins of a version as lists.
-- grain: model_id, model_version, deployment, scored_class
-- inputs: label_cohorts, class_score_cohorts
-- parameters: $first_day, $last_day
-- nulls: scored_class is null for a model with two classes
with labelled as (
    select
        prediction_on,
        model_id,
        model_version,
        deployment,
        null::varchar as scored_class,
        bin_id,
        positive_count,
        negative_count
    from label_cohorts
    where segment = 'all'
    union all
    select
        prediction_on,
        model_id,
        model_version,
        deployment,
        scored_class,
        bin_id,
        positive_count,
        negative_count
    from class_score_cohorts
    where segment = 'all'
),

by_day as (
    select
        model_id,
        model_version,
        deployment,
        scored_class,
        (prediction_on - $first_day::date)::integer as day_number,
        -- the bin above the grid is numbered before the ranges but holds the highest scores
        if(bin_id = 2, 2147483647, bin_id)::integer as bin_position,
        sum(positive_count)::bigint as positive_count,
        sum(negative_count)::bigint as negative_count
    from labelled
    -- bin 0 holds the predictions without a score
    where prediction_on between $first_day and $last_day and bin_id <> 0
    group by model_id, model_version, deployment, scored_class, day_number, bin_position
)

select
    model_id,
    model_version,
    deployment,
    scored_class,
    list(day_number) as day_numbers,
    list(bin_position) as bin_positions,
    list(positive_count) as positive_counts,
    list(negative_count) as negative_counts
from by_day
group by model_id, model_version, deployment, scored_class
order by model_id, model_version, deployment, scored_class;
