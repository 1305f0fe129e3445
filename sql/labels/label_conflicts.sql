-- Rows of label_conflicts: labels that contradict the label that counted for their prediction until then.
-- grain: dt, prediction_on, model_id, model_version, deployment, label_before, label_after
-- inputs: label_pairs, versions
-- parameters: $first_day, $last_day
-- nulls: label values of a regression are not distinguished
with contradicting as (
    select
        p.known_on,
        p.prediction_on,
        v.model_id,
        v.model_version,
        p.deployment,
        case v.task
            when 'multiclass' then p.label_class_before
            when 'binary' then p.label_before::integer::varchar
        end as label_before,
        case v.task
            when 'multiclass' then p.label_class
            when 'binary' then p.label::integer::varchar
        end as label_after
    from label_pairs as p
    inner join versions as v on p.version_id = v.version_id
    where
        p.weight = 0
        and p.known_on between $first_day and $last_day
        and if(v.task = 'multiclass', p.label_class_before <> p.label_class, p.label_before <> p.label)
)

select
    known_on as dt,
    prediction_on,
    model_id,
    model_version,
    deployment,
    label_before,
    label_after,
    count(*) as conflict_count
from contradicting
group by known_on, prediction_on, model_id, model_version, deployment, label_before, label_after
order by known_on, prediction_on, model_id, model_version, deployment, label_before, label_after;
