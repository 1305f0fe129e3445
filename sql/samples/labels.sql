-- The label of each sampled prediction that counts (labels.corrections), as known at the end of the last day.
-- grain: file_id, file_row_number
-- inputs: sampled_rows, labels, versions
-- parameters: $model_id, $model_version; $horizon_days, how long after its prediction a label may come; $early_days, how long before;
--             $is_latest, whether the newest label counts rather than the first
-- nulls: label is null for a multiclass model, label_class for the others
select
    r.file_id,
    r.file_row_number,
    case
        when v.task = 'multiclass' then null
        when v.positive_label is null then l.label
        else (label_text(l.label_class) = v.positive_label)::integer::double
    end as label,
    case when v.task = 'multiclass' then l.label_class end as label_class
from sampled_rows as r
inner join versions as v on v.model_id = $model_id and v.model_version = $model_version
inner join labels as l
    on r.correlation_id = l.correlation_id
    and coalesce(l.prediction_on = r.dt, true)
    and l.dt - r.dt <= $horizon_days
    and r.dt - l.dt <= $early_days
where is_valid_label(l.correlation_id, l.label, l.label_class)
qualify
    row_number() over (
        partition by r.file_id, r.file_row_number
        order by l.dt, coalesce(l.label_time, 'infinity'::timestamp), l.file_id, l.file_row_number
    ) = if($is_latest, count(*) over (partition by r.file_id, r.file_row_number), 1);
