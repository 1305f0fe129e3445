-- How often each rule would have fired: a run of days counts once, on its first day, and openings of a model on the same day count as one.
-- grain: rule
-- inputs: replayed_alerts (rows of sql/alerts/alerts.sql)
-- nulls: alerts about whole partitions have no model
with openings as (
    select
        rule,
        dt,
        coalesce(model_id, '') || ' ' || since_on as opening
    from replayed_alerts
    where state <> 'resolved'
)

select
    rule,
    count(*) as alert_count,
    count(distinct dt) as day_count,
    count(distinct opening) as opening_count
from openings
group by rule
order by rule;
