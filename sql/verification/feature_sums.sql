-- Groups in which the rows in the bins of a feature differ from the number of predictions or from feature_stats.
-- grain: dt, model_id, model_version, deployment, segment, feature
-- inputs: feature_profile, feature_stats, prediction_profile
with features as (
    select
        dt,
        model_id,
        model_version,
        deployment,
        segment,
        feature,
        sum(row_count) as row_count
    from feature_profile
    group by dt, model_id, model_version, deployment, segment, feature
),

predictions as (
    select
        dt,
        model_id,
        model_version,
        deployment,
        segment,
        sum(row_count) as row_count
    from prediction_profile
    group by dt, model_id, model_version, deployment, segment
)

select
    s.dt,
    'feature_profile' as table_name,
    format(
        '{} {} {} {} {}: {} rows in feature_profile, {} in feature_stats, {} in prediction_profile',
        s.model_id,
        s.model_version,
        s.deployment,
        s.segment,
        s.feature,
        coalesce(f.row_count, 0),
        s.row_count,
        coalesce(p.row_count, 0)
    ) as what
from feature_stats as s
left join features as f
    on s.dt = f.dt
    and s.model_id = f.model_id
    and s.model_version = f.model_version
    and s.deployment = f.deployment
    and s.segment = f.segment
    and s.feature = f.feature
left join predictions as p
    on s.dt = p.dt
    and s.model_id = p.model_id
    and s.model_version = p.model_version
    and s.deployment = p.deployment
    and s.segment = p.segment
where s.row_count is distinct from f.row_count or s.row_count is distinct from p.row_count
order by s.dt, what;
