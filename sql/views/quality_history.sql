-- How well did each model rank, as known on the day and with every label known now (hindsight)? Of a multiclass model the hindsight is the mean over every class that has labels and others beside it.
create or replace view quality_history as
with as_of as (
    select *
    from model_quality
    where statistic = 'auc'
),

cohorts as (
    select
        prediction_on,
        model_id,
        model_version,
        deployment,
        segment,
        null::varchar as scored_class,
        bin_id,
        positive_count,
        negative_count,
        positive_count + negative_count + coalesce(number_count, 0) as label_count
    from label_cohorts
    union all
    select
        prediction_on,
        model_id,
        model_version,
        deployment,
        segment,
        scored_class,
        bin_id,
        positive_count,
        negative_count,
        -- each label was counted above
        0 as label_count
    from class_score_cohorts
),

known_now as (
    select
        w.dt,
        w.model_id,
        w.model_version,
        w.deployment,
        w.segment,
        w.window_days,
        c.scored_class,
        c.bin_id,
        -- the bin above the grid is numbered before the ranges but holds the highest scores
        if(c.bin_id = 2, 2147483647, c.bin_id) as position,
        sum(c.positive_count) as positives,
        sum(c.negative_count) as negatives,
        sum(c.label_count) as labels
    from as_of as w
    inner join cohorts as c
        on w.model_id = c.model_id
        and w.model_version = c.model_version
        and w.deployment = c.deployment
        and w.segment = c.segment
        and c.prediction_on > w.dt - w.window_days
        and c.prediction_on <= w.dt
    group by w.dt, w.model_id, w.model_version, w.deployment, w.segment, w.window_days, c.scored_class, c.bin_id
),

counted as (
    select
        dt,
        model_id,
        model_version,
        deployment,
        segment,
        window_days,
        (sum(positives) filter (where scored_class is null))::bigint as positive_count,
        (sum(negatives) filter (where scored_class is null))::bigint as negative_count,
        sum(labels) as label_count
    from known_now
    group by dt, model_id, model_version, deployment, segment, window_days
),

-- Mann-Whitney: a positive outranks the negatives of the bins below it, and half of those in its own
outranked as (
    select
        *,
        sum(negatives) over (
            partition by dt, model_id, model_version, deployment, segment, window_days, scored_class
            order by position
        ) - negatives / 2 as negatives_outranked
    from known_now
    where bin_id <> 0
),

of_class as (
    select
        dt,
        model_id,
        model_version,
        deployment,
        segment,
        window_days,
        sum(positives * negatives_outranked) / nullif(sum(positives) * sum(negatives), 0) as auc
    from outranked
    group by dt, model_id, model_version, deployment, segment, window_days, scored_class
),

-- one AUC, or one for each class
hindsight as (
    select
        dt,
        model_id,
        model_version,
        deployment,
        segment,
        window_days,
        avg(auc) as auc
    from of_class
    group by dt, model_id, model_version, deployment, segment, window_days
)

select
    a.dt,
    a.model_id,
    a.model_version,
    a.deployment,
    a.segment,
    a.window_days,
    a.value as auc,
    a.confidence_low,
    a.confidence_high,
    a.binning_low,
    a.binning_high,
    a.coverage_share,
    a.positive_count,
    a.negative_count,
    a.baseline_value as baseline_auc,
    a.drop_from_baseline,
    a.outcome,
    a.reason,
    h.auc as hindsight_auc,
    c.positive_count as hindsight_positive_count,
    c.negative_count as hindsight_negative_count,
    c.label_count / a.prediction_count as hindsight_coverage_share
from as_of as a
left join hindsight as h
    on a.dt = h.dt
    and a.model_id = h.model_id
    and a.model_version = h.model_version
    and a.deployment = h.deployment
    and a.segment = h.segment
    and a.window_days = h.window_days
left join counted as c
    on a.dt = c.dt
    and a.model_id = c.model_id
    and a.model_version = c.model_version
    and a.deployment = c.deployment
    and a.segment = c.segment
    and a.window_days = c.window_days
order by a.dt, a.model_id, a.model_version, a.deployment, a.window_days;
