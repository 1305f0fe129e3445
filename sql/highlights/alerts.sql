-- How many alerts each day raised, how many model versions have which verdict, and the sentences of verdicts that page.
-- grain: dt
-- inputs: alerts, model_verdicts
-- parameters: $first_day, $last_day
-- nulls: verdicts of a day on which no version is judged, to_act_on of a day without a verdict that pages
with counted as (
    select
        dt,
        count(*) filter (where severity = 'critical') as critical_alerts,
        count(*) filter (where severity = 'warn') as warnings
    from alerts
    where dt between $first_day and $last_day and state is distinct from 'resolved'
    group by dt
),

verdict_counts as (
    select
        dt,
        verdict,
        verdict_place(verdict) as place,
        count(*) as version_count,
        string_agg(
            printf('%s %s (%s) is %s: %s', model_id, model_version, deployment, verdict, sentence), chr(10)
            order by model_id, model_version, deployment
        ) as sentences
    from model_verdicts
    where dt between $first_day and $last_day
    group by dt, verdict
),

judged as (
    select
        dt,
        string_agg(printf('%d %s', version_count, verdict), ', ' order by place) as verdicts,
        string_agg(sentences, chr(10) order by place) filter (where verdict in ('broken', 'harmed', 'blind')) as to_act_on
    from verdict_counts
    group by dt
)

select
    coalesce(c.dt, j.dt) as dt,
    coalesce(c.critical_alerts, 0) as critical_alerts,
    coalesce(c.warnings, 0) as warnings,
    j.verdicts,
    j.to_act_on
from counted as c
full outer join judged as j on c.dt = j.dt;
