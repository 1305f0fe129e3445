-- How far was each estimate from the value by all labels known now, and was that value inside its interval?
create or replace view estimate_history as
with realised as (
    select
        w.dt,
        w.model_id,
        w.model_version,
        w.deployment,
        w.segment,
        w.window_days,
        w.prediction_count,
        sum(c.positive_count) as positives,
        sum(c.negative_count) as negatives,
        sum(c.positive_count) filter (where c.bin_id <> 0) as scored_positives,
        sum(c.negative_count) filter (where c.bin_id <> 0) as scored_negatives,
        sum(c.true_positive_count) as true_positives,
        sum(c.false_positive_count) as false_positives,
        sum(c.log_loss_sum) as log_loss_sum
    from model_quality as w
    inner join label_cohorts as c
        on w.model_id = c.model_id
        and w.model_version = c.model_version
        and w.deployment = c.deployment
        and w.segment = c.segment
        and c.prediction_on > w.dt - w.window_days
        and c.prediction_on <= w.dt
    where w.statistic = 'estimated_auc'
    group by w.dt, w.model_id, w.model_version, w.deployment, w.segment, w.window_days, w.prediction_count
),

known_now as (
    select
        r.dt,
        r.model_id,
        r.model_version,
        r.deployment,
        r.segment,
        r.window_days,
        (r.positives + r.negatives) / r.prediction_count as coverage_share,
        s.statistic,
        case s.statistic
            when 'estimated_auc' then h.all_labels_auc
            when 'estimated_positive_rate' then r.scored_positives / nullif(r.scored_positives + r.scored_negatives, 0)
            when 'estimated_accuracy' then
                (r.true_positives + r.scored_negatives - r.false_positives)
                / nullif(r.scored_positives + r.scored_negatives, 0)
            when 'estimated_log_loss' then r.log_loss_sum / nullif(r.scored_positives + r.scored_negatives, 0)
        end as realised_value
    from realised as r
    cross join (
        values ('estimated_auc'), ('estimated_positive_rate'), ('estimated_accuracy'), ('estimated_log_loss')
    ) as s (statistic)
    left join quality_history as h
        on r.dt = h.dt
        and r.model_id = h.model_id
        and r.model_version = h.model_version
        and r.deployment = h.deployment
        and r.segment = h.segment
        and r.window_days = h.window_days
)

select
    e.dt,
    e.model_id,
    e.model_version,
    e.deployment,
    e.segment,
    e.window_days,
    e.statistic,
    e.value as estimated_value,
    e.confidence_low,
    e.confidence_high,
    k.realised_value,
    k.coverage_share as realised_coverage_share,
    e.value - k.realised_value as estimation_error,
    k.realised_value between e.confidence_low and e.confidence_high as is_inside_interval,
    e.reason
from model_quality as e
left join known_now as k
    on e.dt = k.dt
    and e.model_id = k.model_id
    and e.model_version = k.model_version
    and e.deployment = k.deployment
    and e.segment = k.segment
    and e.window_days = k.window_days
    and e.statistic = k.statistic
where starts_with(e.statistic, 'estimated_') and e.value is not null
order by e.dt, e.model_id, e.model_version, e.deployment, e.segment, e.window_days, e.statistic;
