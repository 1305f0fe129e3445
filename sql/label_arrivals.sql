-- Rows of label_arrivals: what became of the labels of each arrival day.
-- grain: dt
-- inputs: label_rows, label_pairs
-- parameters: $first_day, $last_day
with matched as (
    select distinct
        label_file_id as file_id,
        label_row_number as file_row_number
    from label_pairs
    where known_on = label_on
)

select
    l.dt,
    count(*) as label_count,
    count(*) filter (where not l.is_valid) as invalid_count,
    count(*) filter (where l.is_duplicate) as duplicate_count,
    count(*) filter (where l.is_conflict) as conflict_count,
    count(m.file_id) as matched_count,
    count(*) filter (where l.is_valid and not l.is_duplicate and m.file_id is null) as unmatched_count
from label_rows as l
left join matched as m on l.file_id = m.file_id and l.file_row_number = m.file_row_number
where l.dt between $first_day and $last_day
group by l.dt
order by l.dt;
