-- Fills label_pairs: labels joined to the predictions that they are about.
-- grain: a label and a prediction (a correlation id scored by two versions makes two pairs)
-- inputs: label_rows, predictions, versions, counted_rates
-- parameters: $first_day; $horizon_days, how long after its prediction a label may come; $early_days, how long before;
--             $is_latest, whether the newest label counts rather than the first
-- nulls: a version without a positive label has the labels 0 and 1; without a negative label, every other label is
--        negative; a label without prediction_on is about the nearest day that has its id, an earlier day if there is
--        one; a missing deployment is production; arrival and correlation_id are set only for ids with several
--        labels, for which label_corrections.sql adds rows; a day without a rate was counted completely
create or replace table label_pairs as
with candidate_pairs as (
    select
        greatest(l.dt, p.dt) as known_on,
        l.dt as label_on,
        l.rowid as label_id,
        case
            when v.positive_label is null then l.label
            else (label_text(l.label_class) = v.positive_label)::integer::double
        end as label,
        l.label_class,
        l.is_repeated,
        l.is_duplicate,
        l.arrival,
        if(l.is_repeated, p.correlation_id, null) as correlation_id,
        p.dt as prediction_on,
        v.version_id,
        coalesce(p.deployment, 'production') as deployment,
        p.score,
        p.predicted_class,
        p.class_scores,
        p.segments,
        is_in_sample(p.correlation_id, coalesce(r.sampling_rate, 1)) as is_sampled,
        p.event_time,
        p.file_id,
        p.file_row_number
    from predictions as p
    inner join label_rows as l
        on p.correlation_id = l.correlation_id
    inner join versions as v
        on p.model_id = v.model_id and p.model_version = v.model_version
    left join counted_rates as r
        on p.dt = r.dt
        and p.model_id = r.model_id
        and p.model_version = r.model_version
        and coalesce(p.deployment, 'production') = r.deployment
    where
        l.is_valid
        and case v.task
            when 'multiclass' then list_contains(v.classes, l.label_class)
            when 'regression' then isfinite(l.label)
            when 'binary'
                then case
                    when v.positive_label is null then l.label in (0, 1)
                    else label_text(l.label_class) = v.positive_label
                        or coalesce(label_text(l.label_class) = v.negative_label, label_text(l.label_class) is not null)
                end
        end
        and coalesce(l.prediction_on = p.dt, true)
        and l.dt - p.dt <= $horizon_days
        and p.dt - l.dt <= $early_days
),

nearest as (
    select
        *,
        coalesce(
            min(prediction_on) filter (where prediction_on <= label_on) over about < prediction_on, false
        ) as is_ambiguous
    from candidate_pairs
    window about as (partition by version_id, label_id)
    -- if an id repeats, one prediction is labelled, and later predictions do not change which; if a prediction was delivered twice, the earliest
    qualify row_number() over (
        about
        order by prediction_on > label_on, abs(label_on - prediction_on), event_time, file_id, file_row_number
    ) = 1
)

select
    known_on,
    label_on,
    label_id,
    label,
    label_class,
    is_repeated,
    is_duplicate,
    arrival,
    correlation_id,
    prediction_on,
    version_id,
    deployment,
    score,
    predicted_class,
    class_scores,
    segments,
    -- as when the predictions of the day were counted: predictions outside the sample have a label but are in no cohort
    is_sampled,
    -- whether earlier days also have predictions with the id
    is_ambiguous,
    -- 1: counts; 0: does not, or not by itself; -1: is taken back
    if(not is_repeated or not ($is_latest or is_duplicate), 1, 0) as weight,
    -- for a label that contradicts the one that counted until then
    null::double as label_before,
    null::varchar as label_class_before
from nearest
-- labels before the span matter only if a label in it contradicts them
where is_repeated or known_on >= $first_day;
