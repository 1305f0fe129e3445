-- Evidence for alerts on AUC: the measured AUC is below the AUC estimated from the scores, so the relation between features and target has changed.
-- grain: incident_id, subject, known_on, window_days
-- inputs: incident_alerts, model_quality
with worse as (
    select distinct
        incident_id,
        model_id,
        model_version,
        deployment,
        opened_on,
        until_on
    from incident_alerts
    where
        signal = 'model_quality.auc_drop'
        or (signal = 'performance.loss_evidence' and feature = 'auc')
),

aucs as (
    select
        dt,
        model_id,
        model_version,
        deployment,
        window_days,
        max(value) filter (where statistic = 'auc') as auc,
        max(confidence_high) filter (where statistic = 'auc') as auc_high,
        max(value) filter (where statistic = 'estimated_auc') as estimated_auc,
        max(confidence_low) filter (where statistic = 'estimated_auc') as estimated_low,
        max(baseline_value) as baseline_auc
    from model_quality
    where
        segment = 'all'
        and statistic in ('auc', 'estimated_auc')
        and dt between (select min(w.opened_on) from worse as w)
        and (select max(w.until_on) from worse as w)
    group by dt, model_id, model_version, deployment, window_days
)

select
    w.incident_id,
    a.model_version as subject,
    a.dt as known_on,
    -- the part of the drop from the baseline that the estimate does not explain: the estimate uses the scores of the window
    least(1, (a.estimated_auc - a.auc) / (a.baseline_auc - a.auc)) as strength,
    a.window_days,
    a.auc,
    a.estimated_auc
from worse as w
inner join aucs as a
    on w.model_id = a.model_id
    and w.model_version = a.model_version
    and w.deployment = a.deployment
    and a.dt between w.opened_on and w.until_on
where a.auc < a.baseline_auc and a.auc_high < a.estimated_low;
