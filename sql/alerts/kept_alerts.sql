-- Alerts of rules that cannot be evaluated for a day: as stored, and for the day itself as in their last row.
-- Rows of a rule that the day already has take precedence.
-- grain: dt, rule, model_id, model_version, deployment, segment, feature, window_days, reference
-- inputs: alerts
-- parameters: $rules by name, $day
-- nulls: as in alerts; whole_count, which is not used for a kept alert
with stored as (
    select *
    from alerts
    where list_contains($rules, rule) and dt <= $day
),

-- the newest day of each rule, if that is not the day itself
last_known as (
    select *
    from stored
    qualify dt = max(dt) over (partition by rule)
),

still_open as (
    select
        * replace (
            $day::date as dt,
            'ongoing' as state,
            ($day::date - since_on + 1)::integer as consecutive_days,
            coalesce(valued_on, dt) as valued_on
        )
    from last_known
    where dt < $day and state <> 'resolved'
),

kept as (
    select * from stored
    union all
    select * from still_open
)

select
    * exclude (message, incident_id, weight),
    null::bigint as whole_count,
    -- the sentence gets a new ending that says since when
    regexp_replace(message, ', (since|resolved after) .*$', '') as detail
from kept;
