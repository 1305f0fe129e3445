-- Weights by which the alerts of a day are ranked: importance of the feature x distance beyond the threshold x share of the rows.
-- grain: dt, rule, model_id, model_version, deployment, segment, feature, window_days, reference
-- inputs: raised_alerts (rows of sql/alerts/alerts.sql), importances (model_id, model_version, feature, share)
-- parameters: $first_day, $last_day
-- nulls: an alert without a feature, or about a version without known importance, has an importance of 1
select
    a.*,
    coalesce(i.share, 1)
    -- twice the threshold is worse than once; a hundred times is hardly worse than fifty times
    * ln(1 + a.value / nullif(a.threshold, 0))
    * if(a.segment <> 'all', coalesce(a.sample_count / nullif(a.whole_count, 0), 1), 1) as weight
from raised_alerts as a
left join importances as i
    on a.model_id = i.model_id and a.model_version = i.model_version and a.feature = i.feature
where a.dt between $first_day and $last_day
order by
    a.dt,
    weight desc nulls last,
    a.rule,
    a.model_id,
    a.model_version,
    a.deployment,
    a.segment,
    a.feature,
    a.window_days,
    a.reference;
