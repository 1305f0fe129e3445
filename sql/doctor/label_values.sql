-- The values of labels, and whether any model counts them.
-- grain: label_value
-- inputs: labels, versions
-- nulls: a label without a value belongs to no model
select
    label_text(coalesce(label_class, label::varchar)) as label_value,
    count(*) as row_count,
    bool_and(is_valid_label('an id', label, label_class)) as is_counted
from labels
group by label_value
order by row_count desc, label_value;
