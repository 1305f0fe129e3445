-- Rows of label_cohorts: labels that became known on each day, by prediction day and score bin.
-- grain: dt, prediction_on, model_id, model_version, deployment, segment, bin_id
-- inputs: label_sums (rows of sql/labels/label_sums.sql, of any part of the pairs)
-- nulls: sums are null where the task has none
select
    dt,
    prediction_on,
    model_id,
    model_version,
    deployment,
    segment,
    bin_id,
    sum(positive_count)::bigint as positive_count,
    sum(negative_count)::bigint as negative_count,
    coalesce(sum(score_sum), 0)::double as score_sum,
    sum(log_loss_sum)::double as log_loss_sum,
    coalesce(sum(squared_probability_error_sum), sum(squared_number_error_sum))::double as squared_error_sum,
    sum(true_positive_count)::bigint as true_positive_count,
    sum(false_positive_count)::bigint as false_positive_count,
    sum(number_count)::bigint as number_count,
    sum(error_sum)::double as error_sum,
    sum(absolute_error_sum)::double as absolute_error_sum,
    sum(quantile_loss_sum)::double as quantile_loss_sum
from label_sums
group by dt, prediction_on, model_id, model_version, deployment, segment, bin_id
order by dt, prediction_on, model_id, model_version, deployment, segment, bin_id;
