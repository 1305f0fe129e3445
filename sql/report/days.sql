-- Every processed day in one line, for the overview.
-- grain: dt
-- inputs: current_runs, prediction_volume, feature_drift, alerts, model_quality, model_verdicts
-- parameters: $drift_window_days, $quality_window_days
-- nulls: worst_verdict is null on days that an earlier release processed; auc is null on days without a measured AUC; telemetry_outcome on days whose telemetry was never profiled
with runs as (
    select
        dt,
        max(outcome) filter (where stage = 'profiles') as telemetry_outcome,
            count(*) filter (where outcome = 'failed') > 0 as has_failed
    from current_runs
    group by dt
),

predicted as (
    select
        dt,
        sum(prediction_count)::bigint as prediction_count
    from prediction_volume
    group by dt
),

drifted as (
    select
        dt,
        count(*) filter (where outcome = 'drift') as drift_count
    from feature_drift
    where
        statistic = 'psi'
        and window_days = $drift_window_days
        and segment = 'all'
        and reference = 'training'
        and deployment = 'production'
    group by dt
),

fired as (
    select
        dt,
        count(*) filter (where severity = 'critical') as critical_count,
        count(*) filter (where severity = 'warn') as warn_count
    from alerts
    where state is distinct from 'resolved'
    group by dt
),

-- of several production models, the one furthest below its baseline
ranked as (
    select
        dt,
        arg_max(value, coalesce(drop_from_baseline, -value)) as auc,
        arg_max(model_id || ' ' || model_version, coalesce(drop_from_baseline, -value)) as auc_model
    from model_quality
    where
        statistic = 'auc'
        and window_days = $quality_window_days
        and segment = 'all'
        and deployment = 'production'
        and outcome = 'measured'
    group by dt
),

judged as (
    select
        dt,
        list(verdict order by verdict_place(verdict))[1] as worst_verdict
    from model_verdicts
    group by dt
)

select
    r.dt,
    r.telemetry_outcome,
    r.has_failed,
    coalesce(p.prediction_count, 0) as prediction_count,
    coalesce(d.drift_count, 0) as drift_count,
    coalesce(f.critical_count, 0) as critical_count,
    coalesce(f.warn_count, 0) as warn_count,
    q.auc,
    q.auc_model,
    v.worst_verdict
from runs as r
left join predicted as p on r.dt = p.dt
left join drifted as d on r.dt = d.dt
left join fired as f on r.dt = f.dt
left join ranked as q on r.dt = q.dt
left join judged as v on r.dt = v.dt
order by r.dt;
