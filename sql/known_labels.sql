-- Labels per score bin that became known on each day, whatever the deployment: what scores have meant.
-- grain: dt, model_id, model_version, bin_id
-- inputs: label_cohorts
-- parameters: $first_day, $last_day
select
    dt,
    model_id,
    model_version,
    bin_id,
    sum(positive_count)::bigint as positive_count,
    sum(negative_count)::bigint as negative_count
from label_cohorts
where dt between $first_day and $last_day and segment = 'all'
group by dt, model_id, model_version, bin_id
order by dt, model_id, model_version, bin_id;
