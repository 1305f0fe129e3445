-- Days with values of every feature, and of the score under the name 'score', in buckets of days.
-- grain: group_id, feature_id, bucket
-- inputs: feature_stats, prediction_profile, buckets (dt, bucket), groups (group_id, model_id, model_version, deployment, segment),
-- counted_features (model_id, model_version, feature, feature_id)
with counted as (
    select
        dt,
        model_id,
        model_version,
        deployment,
        segment,
        feature
    from feature_stats
    union all
    select distinct
        dt,
        model_id,
        model_version,
        deployment,
        segment,
        'score' as feature
    from prediction_profile
)

select
    g.group_id,
    f.feature_id,
    b.bucket,
    count(*) as day_count
from counted as c
inner join buckets as b on c.dt = b.dt
inner join groups as g
    on c.model_id = g.model_id
    and c.model_version = g.model_version
    and c.deployment = g.deployment
    and c.segment = g.segment
inner join counted_features as f
    on c.model_id = f.model_id
    and c.model_version = f.model_version
    and c.feature = f.feature
group by g.group_id, f.feature_id, b.bucket
order by g.group_id;
