-- View checked_labels: what the contract of the labels is checked on.
-- grain: a row of a label partition
-- inputs: labels, versions
create or replace view checked_labels as
select
    *,
    -- is_valid_label without its look at the id: temporary macros are unknown to the cursor that checks
    coalesce(
        label in (0, 1)
        or (isfinite(label) and (select bool_or(v.task = 'regression') from versions as v)),
        false
    ) as is_countable
from labels;
