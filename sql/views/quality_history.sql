-- How well did each model rank, as known on the day and with all labels known now (`all_labels_auc`)? For a multiclass model, `all_labels_auc` is the mean over the classes that have enough labels of the class and of other classes. It needs as many labels as the AUC of the day.
create or replace view quality_history as
with predicted as (
    select distinct
        dt,
        model_id,
        model_version,
        deployment,
        segment
    from prediction_profile
),

as_of as (
    select
        q.*,
        p.dt is not null as has_predictions
    from model_quality as q
    left join predicted as p
        on q.dt = p.dt
        and q.model_id = p.model_id
        and q.model_version = p.model_version
        and q.deployment = p.deployment
        and q.segment = p.segment
    where q.statistic = 'auc'
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

totals as (
    select
        dt,
        model_id,
        model_version,
        deployment,
        segment,
        window_days,
        scored_class,
        bin_id,
        positives,
        negatives,
        sum(positives) over of_class as positive_total,
        sum(negatives) over of_class as negative_total,
        sum(positives) over by_score as positives_up_to,
        sum(negatives) over by_score as negatives_up_to
    from known_now
    where bin_id <> 0
    window
        of_class as (partition by dt, model_id, model_version, deployment, segment, window_days, scored_class),
        by_score as (
            partition by dt, model_id, model_version, deployment, segment, window_days, scored_class
            order by position
        )
),

-- Mann-Whitney: a positive outranks the negatives in the bins below it and half of those in its own bin
placed as (
    select
        *,
        (negatives_up_to - negatives / 2) / nullif(negative_total, 0) as positive_placement,
        (positive_total - positives_up_to + positives / 2) / nullif(positive_total, 0) as negative_placement
    from totals
),

-- DeLong, from the sums of the placements and of their squares
of_class as (
    select
        dt,
        model_id,
        model_version,
        deployment,
        segment,
        window_days,
        any_value(positive_total) as positive_total,
        any_value(negative_total) as negative_total,
        sum(positives * positive_placement) / nullif(any_value(positive_total), 0) as auc,
        sum(positives * positive_placement**2) as squared_positive_placements,
        sum(negatives * negative_placement**2) as squared_negative_placements,
        sum(positives * negatives) / nullif(any_value(positive_total * negative_total), 0) / 2 as half_ties
    from placed
    group by dt, model_id, model_version, deployment, segment, window_days, scored_class
),

with_error as (
    select
        *,
        sqrt(
            greatest(squared_positive_placements - positive_total * auc**2, 0)
            / nullif((positive_total - 1) * positive_total, 0)
            + greatest(squared_negative_placements - negative_total * auc**2, 0)
            / nullif((negative_total - 1) * negative_total, 0)
        ) as standard_error
    from of_class
),

-- one AUC, or one per class that has enough labels
averaged as (
    select
        o.dt,
        o.model_id,
        o.model_version,
        o.deployment,
        o.segment,
        o.window_days,
        avg(o.auc) as auc,
        avg(o.standard_error) as standard_error,
        avg(o.auc - o.half_ties) as binning_low,
        avg(o.auc + o.half_ties) as binning_high
    from with_error as o
    inner join as_of as w
        on o.dt = w.dt
        and o.model_id = w.model_id
        and o.model_version = w.model_version
        and o.deployment = w.deployment
        and o.segment = w.segment
        and o.window_days = w.window_days
    -- rows from before the minimum was stored have the default of quality.minimum_labels_per_class
    where least(o.positive_total, o.negative_total) >= coalesce(w.minimum_class_count, 10)
    group by o.dt, o.model_id, o.model_version, o.deployment, o.segment, o.window_days
),

-- the interval is computed on the log-odds scale; for an AUC of 0 or 1 both ends are the AUC
with_all_labels as (
    select
        *,
        if(auc > 0 and auc < 1, 1.959963984540054 * standard_error / (auc * (1 - auc)), 0) as width,
        if(auc > 0 and auc < 1, auc / (1 - auc), null) as odds
    from averaged
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
    a.interval_unit,
    a.binning_low,
    a.binning_high,
    a.coverage_share,
    a.positive_count,
    a.negative_count,
    a.baseline_value as baseline_auc,
    a.drop_from_baseline,
    a.outcome,
    a.reason,
    h.auc as all_labels_auc,
    if(h.odds is null, h.auc, 1 / (1 + exp(h.width) / h.odds)) as all_labels_confidence_low,
    if(h.odds is null, h.auc, 1 / (1 + exp(-h.width) / h.odds)) as all_labels_confidence_high,
    h.binning_low as all_labels_binning_low,
    h.binning_high as all_labels_binning_high,
    c.positive_count as all_labels_positive_count,
    c.negative_count as all_labels_negative_count,
    c.label_count / a.prediction_count as all_labels_coverage_share,
    case
        when h.auc is not null then null
        when not a.has_predictions then a.reason
        when coalesce(c.label_count, 0) = 0 then 'no labels have arrived for the window'
        else 'fewer than ' || coalesce(a.minimum_class_count, 10) || ' labels of one class, or no scores to rank by'
    end as all_labels_reason
from as_of as a
left join with_all_labels as h
    on a.dt = h.dt
    and a.model_id = h.model_id
    and a.model_version = h.model_version
    and a.deployment = h.deployment
    and a.segment = h.segment
    and a.window_days = h.window_days
    and a.has_predictions
left join counted as c
    on a.dt = c.dt
    and a.model_id = c.model_id
    and a.model_version = c.model_version
    and a.deployment = c.deployment
    and a.segment = c.segment
    and a.window_days = c.window_days
order by a.dt, a.model_id, a.model_version, a.deployment, a.window_days;
