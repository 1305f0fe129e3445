-- Scores of binary versions with their labels.
-- grain: a prediction and a label of the same id
-- inputs: labels, predictions, versions
-- nulls: predictions without a score or without a valid label are left out
select
    v.version_id,
    p.score,
    case
        when v.positive_label is null then l.label
        else (label_text(l.label_class) = v.positive_label)::integer::double
    end as label
from predictions as p
inner join labels as l on p.correlation_id = l.correlation_id
inner join versions as v on p.model_id = v.model_id and p.model_version = v.model_version
where
    v.task = 'binary'
    and isfinite(p.score)
    and if(
        v.positive_label is null,
        l.label in (0, 1),
        label_text(l.label_class) = v.positive_label
        or coalesce(label_text(l.label_class) = v.negative_label, label_text(l.label_class) is not null)
    )
order by p.correlation_id
limit 100000;
