-- Evidence for alerts on drift from training: it was there when a version began to predict, so nothing has changed since.
-- grain: incident_id, subject, known_on
-- inputs: incident_alerts, alert_lives (rows of sql/incidents/lives.sql), feature_drift
select distinct
    s.incident_id,
    s.feature || ' ' || s.model_version as subject,
    s.opened_on as known_on,
    1.0::double as strength,
    s.feature,
    s.model_version
from incident_alerts as s
inner join alert_lives as l
    on s.signal = l.signal
    and s.model_id = l.model_id
    and s.model_version = l.model_version
    and s.deployment = l.deployment
    and s.feature = l.feature
    and s.window_days = l.window_days
    and s.opened_on = l.opened_on
where
    s.signal like 'feature_drift.%'
    and coalesce(s.segment, 'all') = 'all'
    and l.reference = 'training'
    and s.opened_on <= s.until_on
    -- above the threshold in the first window
    and l.since_on - l.predicted_from < greatest(l.window_days, 3)
    -- it was not like training before in any deployment or window
    and not exists (
        select 1
        from feature_drift as d
        where
            d.model_id = s.model_id
            and d.model_version = s.model_version
            and d.feature = s.feature
            and s.signal = 'feature_drift.' || d.statistic
            and d.segment = 'all'
            and d.reference = 'training'
            and d.outcome = 'stable'
            and d.dt < l.since_on
    );
