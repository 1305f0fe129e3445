-- Groups in which the bins of a feature do not hold as many rows as there are predictions, or as feature_stats says.
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
    dt,
    'feature_profile' as table_name,
    format(
        '{} {} {} {} {}: {} rows in feature_profile, {} in feature_stats, {} in prediction_profile',
        model_id,
        model_version,
        deployment,
        segment,
        feature,
        coalesce(f.row_count, 0),
        coalesce(s.row_count, 0),
        coalesce(p.row_count, 0)
    ) as what
from features as f
full join feature_stats as s using (dt, model_id, model_version, deployment, segment, feature)
left join predictions as p using (dt, model_id, model_version, deployment, segment)
where f.row_count is distinct from s.row_count or f.row_count is distinct from p.row_count
order by dt, what;
