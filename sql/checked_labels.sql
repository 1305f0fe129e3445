-- View checked_labels: what the contract of the labels is checked on.
-- grain: a row of a label partition
-- inputs: labels, versions
create or replace view checked_labels as
select
    *,
    -- is_valid_label without its look at the id: temporary macros are unknown to the cursor that checks
    coalesce(
        (label in (0, 1) and (select bool_or(v.task <> 'multiclass') from versions as v))
        or (isfinite(label) and (select bool_or(v.task = 'regression') from versions as v))
        or list_contains((select flatten(list(v.classes)) from versions as v), label_class),
        false
    ) as is_countable
from labels;
