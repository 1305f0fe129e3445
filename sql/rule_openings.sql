-- How often each rule would have fired: runs of days are told of when they open, those of a model on one day as one.
-- grain: rule
-- inputs: replayed_alerts (rows of sql/alerts.sql)
-- nulls: alerts about whole partitions are of no model
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
