-- Rows of label_arrivals: how the labels of each arrival day were used.
-- grain: dt
-- inputs: label_rows, label_pairs
-- parameters: $first_day, $last_day
with matched as (
    select
        label_on as dt,
        count(distinct label_id) as matched_count
    from label_pairs
    where known_on = label_on and not is_duplicate
    group by label_on
),

judged as (
    select
        dt,
        count(*) as label_count,
        count(*) filter (where not is_valid) as invalid_count,
        count(*) filter (where is_duplicate) as duplicate_count,
        count(*) filter (where is_conflict) as conflict_count,
        count(*) filter (where is_valid and not is_duplicate) as first_count
    from label_rows
    where dt between $first_day and $last_day
    group by dt
)

select
    j.dt,
    j.label_count,
    j.invalid_count,
    j.duplicate_count,
    j.conflict_count,
    coalesce(m.matched_count, 0) as matched_count,
    j.first_count - coalesce(m.matched_count, 0) as unmatched_count
from judged as j
left join matched as m on j.dt = m.dt
order by j.dt;
