-- Fills label_pairs: labels joined to the predictions that they are about.
-- grain: a label and a prediction (a correlation id scored by two versions makes two pairs), and weight. A pair of weight 1
--        counts, one of -1 takes back what counted before; of 0 are all labels of an id that has several, with what
--        counted for the prediction until then.
-- inputs: label_rows, predictions, versions
-- parameters: $first_day; $horizon_days, how long after its prediction a label may come; $early_days, how long before;
--             $is_latest, whether the newest label counts rather than the first
-- nulls: a label without prediction_on may be about any day; a missing deployment is production
create or replace table label_pairs as
with met as (
    select
        greatest(l.dt, p.dt) as known_on,
        l.dt as label_on,
        l.rowid as label_id,
        l.label,
        l.label_class,
        l.is_repeated,
        l.is_duplicate,
        l.arrival,
        p.correlation_id,
        p.dt as prediction_on,
        v.version_id,
        coalesce(p.deployment, 'production') as deployment,
        p.score,
        p.predicted_class,
        p.class_scores,
        p.segments,
        p.event_time,
        p.file_id,
        p.file_row_number
    from predictions as p
    inner join label_rows as l
        on p.correlation_id = l.correlation_id
    inner join versions as v
        on p.model_id = v.model_id and p.model_version = v.model_version
    where
        l.is_valid
        and case v.task
            when 'multiclass' then list_contains(v.classes, l.label_class)
            when 'regression' then isfinite(l.label)
            else l.label in (0, 1)
        end
        and coalesce(l.prediction_on = p.dt, true)
        and l.dt - p.dt <= $horizon_days
        and p.dt - l.dt <= $early_days
        -- what came before the span matters only if something in it says otherwise
        and (l.is_repeated or greatest(l.dt, p.dt) >= $first_day)
),

delivered as materialized (
    select * exclude (event_time, file_id, file_row_number)
    from met
    -- a prediction delivered twice is labelled once
    qualify row_number() over (
        partition by prediction_on, version_id, label_id
        order by event_time, file_id, file_row_number
    ) = 1
),

-- few ids come twice, and only theirs are put in order
repeated as (
    select
        *,
        {'label': label, 'label_class': label_class} as said
    from delivered
    where is_repeated
),

in_order as (
    select
        *,
        case
            when $is_latest then lag(said) over arriving
            -- the first label of the id may be about another day; then none counts for this one
            when row_number() over arriving > 1 and not first_value(is_duplicate) over arriving
                then first_value(said) over arriving
        end as counted_before,
        row_number() over (
            partition by prediction_on, version_id, correlation_id, known_on
            order by arrival desc
        ) = 1 as is_last_of_day
    from repeated
    window arriving as (partition by prediction_on, version_id, correlation_id order by arrival)
),

corrected as (
    select
        *,
        lag(label_id) over knowing as previous_id,
        lag(said) over knowing as previous_said
    from in_order
    where $is_latest and is_last_of_day
    window knowing as (partition by prediction_on, version_id, correlation_id order by known_on)
),

weighed as (
    select
        *,
        null as counted_before,
        1 as weight
    from delivered
    where not is_repeated or not ($is_latest or is_duplicate)
    union all by name
    select
        * exclude (said, is_last_of_day),
        0 as weight
    from in_order
    union all by name
    select
        * exclude (said, counted_before, is_last_of_day, previous_id, previous_said),
        1 as weight
    from corrected
    where previous_said is distinct from said
    union all by name
    select
        * exclude (said, counted_before, is_last_of_day, previous_id, previous_said)
        replace (
            previous_id as label_id,
            struct_extract(previous_said, 'label') as label,
            struct_extract(previous_said, 'label_class') as label_class
        ),
        -1 as weight
    from corrected
    where previous_said is not null and previous_said is distinct from said
)

select
    known_on,
    label_on,
    label_id,
    label,
    label_class,
    is_duplicate,
    prediction_on,
    version_id,
    deployment,
    score,
    predicted_class,
    class_scores,
    segments,
    weight,
    struct_extract(counted_before, 'label') as label_before,
    struct_extract(counted_before, 'label_class') as label_class_before
from weighed
where known_on >= $first_day;
