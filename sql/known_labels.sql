-- Labels per score bin that became known on each day, whatever the deployment: what scores have meant.
-- grain: dt, model_id, model_version, bin_id
-- inputs: label_cohorts
-- parameters: $first_day, $last_day
-- a day's corrections take no more than its labels: what they take back may have become known before the days looked at
select
    dt,
    model_id,
    model_version,
    bin_id,
    greatest(sum(positive_count), 0)::bigint as positive_count,
    greatest(sum(negative_count), 0)::bigint as negative_count
from label_cohorts
where dt between $first_day and $last_day and segment = 'all'
group by dt, model_id, model_version, bin_id
order by dt, model_id, model_version, bin_id;
