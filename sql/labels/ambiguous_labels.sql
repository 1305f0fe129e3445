-- Labels that could be about predictions of one version on several days: their correlation id repeats within the horizon.
-- grain: dt (day on which the label and its prediction were known)
-- inputs: label_pairs
-- parameters: $first_day, $last_day
select
    known_on as dt,
    count(distinct label_id) as label_count
from label_pairs
where weight = 1 and is_ambiguous and known_on between $first_day and $last_day
group by known_on
order by known_on;
