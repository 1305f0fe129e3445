-- View checked_labels: the rows on which the contract of the labels is checked.
-- grain: a row of a label partition
-- inputs: labels, versions
create or replace view checked_labels as
with canonical as (
    select
        *,
        -- label_text, and below is_valid_label without its check of the id, written out, because the checking cursor
        -- does not know temporary macros
        case
            when lower(label_class) in ('true', 'yes', 'on') then '1'
            when lower(label_class) in ('false', 'no', 'off') then '0'
            when lower(label_class) not in ('nan', '') then regexp_replace(label_class, '^(-?[0-9]+)\.0+$', '\1')
        end as label_said
    from labels
)

select
    * exclude (label_said),
    coalesce(
        (label in (0, 1) and (select bool_or(v.task = 'binary' and v.positive_label is null) from versions as v))
        or (isfinite(label) and (select bool_or(v.task = 'regression') from versions as v))
        or list_contains((select flatten(list(v.classes)) from versions as v), label_class)
        or list_contains((select flatten(list([v.positive_label, v.negative_label])) from versions as v), label_said)
        or (
            label_said is not null
            and (select bool_or(v.positive_label is not null and v.negative_label is null) from versions as v)
        ),
        false
    ) as is_countable
from canonical;
