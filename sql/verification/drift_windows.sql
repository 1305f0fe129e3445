-- Windows whose row count in feature_drift is not the sum of the profiles, although no profile was written after them.
-- grain: dt, model_id, model_version, deployment, segment, feature, window_days
-- inputs: feature_drift, feature_stats, newest_writes
with windows as (
    select distinct
        d.dt,
        d.model_id,
        d.model_version,
        d.deployment,
        d.segment,
        d.feature,
        d.window_days,
        d.current_count,
        r.snapshot_id
    from feature_drift as d
    inner join newest_writes as r on d.dt = r.dt and r.stage = 'drift'
),

stale as (
    select distinct
        w.dt,
        w.window_days
    from windows as w
    inner join newest_writes as p
        on p.stage = 'profiles'
        and p.dt between w.dt - w.window_days + 1 and w.dt
        and p.snapshot_id > w.snapshot_id
),

summed as (
    select
        w.*,
        sum(s.row_count) as profile_count
    from windows as w
    left join feature_stats as s
        on s.dt between w.dt - w.window_days + 1 and w.dt
        and w.model_id = s.model_id
        and w.model_version = s.model_version
        and w.deployment = s.deployment
        and w.segment = s.segment
        and w.feature = s.feature
    anti join stale
        on w.dt = stale.dt and w.window_days = stale.window_days
    group by all
)

select
    dt,
    'feature_drift' as table_name,
    format(
        '{} {} {} {} {} over {} days: {} rows in feature_drift, {} in the profiles',
        model_id,
        model_version,
        deployment,
        segment,
        feature,
        window_days,
        current_count,
        coalesce(profile_count, 0)
    ) as what
from summed
where current_count <> coalesce(profile_count, 0)
order by dt, what;
