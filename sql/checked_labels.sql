-- View checked_labels: what the contract of the labels is checked on.
-- grain: a row of a label partition
-- inputs: labels, versions
create or replace view checked_labels as
select
    *,
    is_valid_label('', label) as is_countable
from labels;
