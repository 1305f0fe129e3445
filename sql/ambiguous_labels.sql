-- Labels that met predictions of one version on several days: their correlation id is not unique within the horizon.
-- grain: dt (day on which the last of the two was known)
-- inputs: label_pairs
-- parameters: $first_day, $last_day
with met as (
    select max(known_on) as dt
    from label_pairs
    where weight = 1
    group by label_id, version_id
    having min(prediction_on) < max(prediction_on)
)

select
    dt,
    count(*) as label_count
from met
where dt between $first_day and $last_day
group by dt
order by dt;
