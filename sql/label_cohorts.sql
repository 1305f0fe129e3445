-- Rows of label_cohorts: what became known on each day, by prediction day and score bin.
-- grain: dt, prediction_on, model_id, model_version, deployment, segment, bin_id
-- inputs: label_pairs
-- parameters: $first_day, $last_day
-- nulls: pairs without a score count in bin 0 and add nothing to the sums
with probable as (
    select
        *,
        case when score_kind = 'probability' and isfinite(score) then greatest(least(score, 1), 0) end as probability
    from label_pairs
    where known_on between $first_day and $last_day
)

select
    known_on as dt,
    prediction_on,
    model_id,
    model_version,
    deployment,
    'all' as segment,
    bin_id,
    count(*) filter (where label = 1) as positive_count,
    count(*) filter (where label = 0) as negative_count,
    -- decimals, because a sum of floats depends on the order of the rows and a rerun must give the same;
    -- 13 digits before the point leave the sum room for ten billion rows, larger scores add nothing
    coalesce(sum(try_cast(score as decimal(28, 15))) filter (where isfinite(score)), 0)::double as score_sum,
    -- clipped, because one certain and wrong prediction would make the sum infinite for good
    sum(case
        -- greatest ignores nulls, and a label without a probability has no loss
        when probability is not null then -ln(greatest(if(label = 1, probability, 1 - probability), 1e-15))
    end::decimal(28, 15))::double as log_loss_sum,
    sum(pow(probability - label, 2)::decimal(28, 15))::double as squared_error_sum
from probable
group by known_on, prediction_on, model_id, model_version, deployment, bin_id
order by known_on, prediction_on, model_id, model_version, deployment, bin_id;
