-- Labels and errors by day and range of scores, before and since a loss of performance. From these rows, driftlake.alerts.losses finds out whether
-- the distribution of the scores has changed or equal scores now mean something else, and in which segment.
-- grain: incident_id, known_on, statistic, scored_class, segment, prediction_on, part
-- inputs: incident_alerts, performance, label_cohorts, class_score_cohorts
-- nulls: error_sum is null for AUC
with losses as (
    select distinct
        s.incident_id,
        p.dt as known_on,
        p.statistic,
        p.loss_since_on as lost_on,
        s.model_id,
        s.model_version,
        s.deployment
    from incident_alerts as s
    inner join performance as p
        on s.model_id = p.model_id
        and s.model_version = p.model_version
        and s.deployment = p.deployment
        and s.feature = p.statistic
        and p.dt in (s.opened_on, s.until_on)
    where s.signal = 'performance.loss_evidence' and p.basis = 'combined' and p.loss_since_on is not null
),

counted as (
    select
        *,
        null::varchar as scored_class
    from label_cohorts
    union all by name
    select *
    from class_score_cohorts
),

known as (
    select
        l.incident_id,
        l.known_on,
        l.statistic,
        l.lost_on,
        c.scored_class,
        c.segment,
        c.prediction_on,
        -- bins in the order of the score: bin 2 is for scores above the grid
        if(c.bin_id = 2, 2147483647, c.bin_id) as place,
        c.positive_count,
        c.negative_count,
        case l.statistic
            when 'log_loss' then c.log_loss_sum
            when 'brier_score' then c.squared_error_sum
            when 'mean_absolute_error' then c.absolute_error_sum
            -- wrong decisions: for several classes those for the scored class, otherwise those at the decision cut
            when 'accuracy' then coalesce(c.wrong_count, c.positive_count - c.true_positive_count + c.false_positive_count)
        end as error_sum,
        if(
            l.statistic = 'accuracy',
            coalesce(c.right_count + c.wrong_count, c.positive_count + c.negative_count),
            c.positive_count + c.negative_count + coalesce(c.number_count, 0)
        ) as label_count
    from losses as l
    inner join counted as c
        on l.model_id = c.model_id
        and l.model_version = c.model_version
        and l.deployment = c.deployment
        and c.prediction_on between l.lost_on - 56 and l.known_on
        and c.dt <= l.known_on
    where c.bin_id <> 0 and l.statistic in ('auc', 'log_loss', 'brier_score', 'mean_absolute_error', 'accuracy')
),

-- about twenty ranges of scores with equally many labels
parts as (
    select
        incident_id,
        known_on,
        statistic,
        scored_class,
        place,
        least(
            floor(20 * (sum(sum(label_count)) over up_to - sum(label_count)) / nullif(sum(sum(label_count)) over of_class, 0)),
            19
        )::integer as part
    from known
    where segment = 'all' and label_count <> 0
    group by incident_id, known_on, statistic, scored_class, place
    window
        of_class as (partition by incident_id, known_on, statistic, scored_class),
        up_to as (partition by incident_id, known_on, statistic, scored_class order by place)
)

select
    k.incident_id,
    k.known_on,
    k.statistic,
    k.lost_on,
    coalesce(k.scored_class, '') as scored_class,
    k.segment,
    k.prediction_on,
    p.part,
    sum(k.positive_count)::double as positive_count,
    sum(k.negative_count)::double as negative_count,
    sum(k.error_sum) as error_sum,
    sum(k.label_count)::double as label_count
from known as k
inner join parts as p
    on k.incident_id = p.incident_id
    and k.known_on = p.known_on
    and k.statistic = p.statistic
    and k.scored_class is not distinct from p.scored_class
    and k.place = p.place
group by
    k.incident_id, k.known_on, k.statistic, k.lost_on, k.scored_class, k.segment, k.prediction_on, p.part
order by
    k.incident_id, k.known_on, k.statistic, k.segment, k.prediction_on, k.scored_class, p.part;
